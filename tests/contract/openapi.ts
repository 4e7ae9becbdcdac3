/**
 * The OpenAPI document, made from the endpoints' declarations: what the wrapper enforces is what it says.
 */
import * as z from "zod/mini";
import type {
  Documentation,
  OperationDocumentation,
} from "../../supabase/functions/_shared/documentation.ts";
import { errorCodes } from "../../supabase/functions/_shared/error-codes.ts";
import { type Declaration, errorsOf } from "../../supabase/functions/_shared/operation.ts";
import {
  errorSchema,
  reference,
  type Schema,
  securitySchemes,
  sharedHeaders,
  sharedParameters,
} from "./openapi-components.ts";
import { detailsOf, exampleError } from "./openapi-errors.ts";

/** The whole document: what each endpoint declares, and what its documentation says beside that, by its name. */
export function openApiDocument(
  endpoints: ReadonlyMap<string, readonly Declaration[]>,
  documentations: ReadonlyMap<string, Documentation> = new Map(),
): Schema {
  const names = [...endpoints.keys()].sort();
  const definitions = new Map<string, Component>();
  const paths = Object.fromEntries(names.map((name) => [
    `/${name}`,
    Object.fromEntries(
      (endpoints.get(name) ?? []).map((operation) => [
        operation.method.toLowerCase(),
        hoistDefinitions(
          describe(name, operation, documentations.get(name)?.[operation.method]),
          definitions,
        ),
      ]),
    ),
  ]));
  const named = Object.fromEntries(
    Array.from(definitions.values(), ({ name, definition }) => [name, JSON.parse(definition)]),
  );
  return {
    openapi: "3.1.0",
    info: {
      title: "Kinora",
      version: "1",
      description:
        "The backend of an AI video app. The contract only grows: ignore fields that you do not know, " +
        "read an unknown `status` as `processing` and an unknown `kind` as `other`.",
    },
    servers: [{
      url: "{project}/functions/v1",
      variables: { project: { default: "https://project.supabase.co", description: "The project's URL" } },
    }],
    tags: [
      { name: "app", description: "Called by the app, for its user" },
      { name: "operator", description: "Called by admins" },
      { name: "machines", description: "Called by schedulers, providers and monitors" },
    ],
    paths,
    components: {
      securitySchemes,
      schemas: { ErrorCode: { type: "string", enum: Object.keys(errorCodes) }, Error: errorSchema, ...named },
      parameters: sharedParameters,
      headers: sharedHeaders,
    },
  };
}

/**
 * Schemas that refer to themselves come with `$defs` of their own, whose references count from the root of the
 * document. They become components; equal ones are one component.
 */
function hoistDefinitions(value: unknown, components: Map<string, Component>): unknown {
  if (Array.isArray(value)) return value.map((item) => hoistDefinitions(item, components));
  if (typeof value !== "object" || value === null) return value;
  const { $defs, ...rest }: { $defs?: object } = value;
  let text = JSON.stringify(rest);
  for (const [name, definition] of Object.entries($defs ?? {})) {
    const own = JSON.stringify(definition);
    const component = components.get(own) ??
      { name: name.startsWith("__") ? `Definition${components.size + 1}` : name, definition: own };
    const rename = (schema: string) =>
      schema.replaceAll(`"#/$defs/${name}"`, `"#/components/schemas/${component.name}"`);
    components.set(own, { ...component, definition: rename(component.definition) });
    text = rename(text);
  }
  const renamed: object = JSON.parse(text);
  return Object.fromEntries(
    Object.entries(renamed).map(([key, member]) => [key, hoistDefinitions(member, components)]),
  );
}

interface Component {
  readonly name: string;
  /** JSON. */
  readonly definition: string;
}

function describe(
  endpoint: string,
  operation: Declaration,
  documentation: OperationDocumentation = { description: operation.summary },
): Schema {
  const { method, auth, summary, idempotencyKey, query, request, rawBody, response, policies } = operation;
  const words = [
    method.toLowerCase(),
    ...endpoint.split("-").map((word) => word[0]?.toUpperCase() + word.slice(1)),
  ];
  const isConditional = response[304] === null;
  const content = request
    ? { schema: jsonSchema(request, "input"), ...exampleOf(documentation.request) }
    : rawBody
    ? { schema: { description: "The bytes that the sender signed" }, ...exampleOf(documentation.request) }
    : null;
  return {
    operationId: words.join(""),
    summary,
    description: documentation.description,
    tags: [auth === "user" ? "app" : auth === "admin" ? "operator" : "machines"],
    security: security[auth],
    ...(policies?.length ? { "x-rate-limit-policies": policies } : {}),
    parameters: [
      ...(idempotencyKey ? [reference("parameters", "IdempotencyKey")] : []),
      ...(query ? queryParameters(query, documentation.query) : []),
      ...(isConditional ? [reference("parameters", "IfNoneMatch")] : []),
      reference("parameters", "AcceptLanguage"),
      reference("parameters", "RequestId"),
    ],
    ...(content ? { requestBody: { required: true, content: { "application/json": content } } } : {}),
    responses: { ...successes(operation, documentation), ...failures(operation, documentation) },
  };
}

function exampleOf(value: unknown): Schema {
  return value === undefined ? {} : { example: value };
}

const security: Record<Declaration["auth"], Schema[]> = {
  user: [{ publishableKey: [], userToken: [] }],
  admin: [{ publishableKey: [], userToken: [] }],
  service: [{ secretKey: [] }],
  worker: [{ workerKey: [] }, { secretKey: [] }],
  // The credential is the sender's signature over the raw body, which OpenAPI cannot describe.
  signed: [],
  public: [{}, { secretKey: [] }],
};

function queryParameters(query: z.ZodMiniObject, examples: OperationDocumentation["query"]): Schema[] {
  const { properties = {}, required = [] } = z.toJSONSchema(query, { io: "input" });
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: "query",
    required: required.includes(name),
    schema,
    ...exampleOf(examples?.[name]),
  }));
}

function jsonSchema(schema: z.ZodMiniType, io: "input" | "output"): Schema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    // Requests are closed; answers grow, and a generated client must not refuse what it does not know yet.
    override: ({ jsonSchema }) => {
      if (io === "output" && jsonSchema.additionalProperties === false) {
        delete jsonSchema.additionalProperties;
      }
    },
  });
  return rest;
}

function headersOf({ policies, idempotencyKey }: Declaration): Record<string, unknown> {
  return {
    "X-Request-Id": reference("headers", "RequestId"),
    "Content-Language": reference("headers", "ContentLanguage"),
    "Cache-Control": reference("headers", "CacheControl"),
    ...(policies?.length
      ? {
        "RateLimit-Policy": reference("headers", "RateLimitPolicy"),
        "RateLimit": reference("headers", "RateLimit"),
      }
      : {}),
    ...(idempotencyKey ? { "Idempotency-Replayed": reference("headers", "IdempotencyReplayed") } : {}),
  };
}

const statusTexts: Record<number, string> = {
  200: "Done",
  202: "Accepted; the work goes on",
  204: "Done; there is nothing to tell",
  304: "Unchanged since the answer that the caller has",
  503: "Not healthy",
};

function successes(
  operation: Declaration,
  { responses = {}, headers: ownHeaders = {} }: OperationDocumentation,
): Record<string, Schema> {
  const headers = {
    ...headersOf(operation),
    ...(operation.response[304] === null ? { ETag: reference("headers", "ETag") } : {}),
    ...(operation.cacheControl
      ? { "Cache-Control": { ...sharedHeaders.CacheControl, example: operation.cacheControl } }
      : {}),
  };
  return Object.fromEntries(
    Object.entries(operation.response).map(([status, schema]) => [status, {
      description: statusTexts[Number(status)] ?? "Done",
      headers: {
        ...headers,
        ...Object.fromEntries(
          Object.entries(ownHeaders[Number(status)] ?? {}).map(([name, header]) => [name, {
            ...header,
            schema: { type: "string" },
          }]),
        ),
      },
      ...(schema === null ? {} : {
        content: {
          "application/json": {
            schema: jsonSchema(schema, "output"),
            ...exampleOf(responses[Number(status)]),
          },
        },
      }),
    }]),
  );
}

/** One answer for each status, with all codes that share it. */
function failures(
  operation: Declaration,
  { responses = {} }: OperationDocumentation,
): Record<string, Schema> {
  const codes = errorsOf(operation);
  const statuses = [...new Set(codes.map((code) => errorCodes[code].status))].sort();
  return Object.fromEntries(statuses.map((status) => {
    const sharing = codes.filter((code) => errorCodes[code].status === status);
    const mayWait = sharing.some((code) => detailsOf(code).includes("retry_after"));
    const own = operation.response[status];
    const schema = {
      allOf: [reference("schemas", "Error")],
      properties: { error: { properties: { code: { enum: sharing } } } },
    };
    return [String(status), {
      description: sharing.map((code) => `\`${code}\` ${errorCodes[code].category}`).join(" · "),
      headers: {
        ...headersOf(operation),
        ...(status === 401 ? { "WWW-Authenticate": reference("headers", "WwwAuthenticate") } : {}),
        ...(mayWait ? { "Retry-After": reference("headers", "RetryAfter") } : {}),
      },
      content: {
        "application/json": {
          schema: own ? { anyOf: [schema, jsonSchema(own, "output")] } : schema,
          examples: {
            ...(own ? { answer: { value: responses[status] } } : {}),
            ...Object.fromEntries(sharing.map((code) => [code, { value: exampleError(code, operation) }])),
          },
        },
      },
    }];
  }));
}
