/**
 * The OpenAPI document, made from the endpoints' declarations: what the wrapper enforces is what it says.
 */
import * as z from "zod/mini";
import type {
  Documentation,
  OperationDocumentation,
} from "../../supabase/functions/_shared/endpoint/documentation.ts";
import { cacheControlOf } from "../../supabase/functions/_shared/endpoint/answer-memory.ts";
import { type ErrorCode, errorCodes } from "../../supabase/functions/_shared/errors/error-codes.ts";
import {
  type Declaration,
  errorsOf,
  operationKey,
} from "../../supabase/functions/_shared/endpoint/operation.ts";
import {
  errorSchema,
  reference,
  type Schema,
  securitySchemes,
  sharedHeaders,
  sharedParameters,
} from "./openapi-components.ts";
import { detailsOf, errorDetailsSchema, exampleError, fieldErrorSchema } from "./openapi-errors.ts";
import { type SchemaNames, Schemas } from "./openapi-schemas.ts";

/** The whole document: what each endpoint declares, and what its documentation says beside that, by its name. */
export function openApiDocument(
  endpoints: ReadonlyMap<string, readonly Declaration[]>,
  documentations: ReadonlyMap<string, Documentation> = new Map(),
  schemaNames: SchemaNames = new Map(),
): Schema {
  const names = [...endpoints.keys()].sort();
  const schemas = new Schemas(schemaNames);
  const responses = new Map<string, Schema>();
  const paths: Record<string, Record<string, Schema>> = {};
  for (const name of names) {
    for (const operation of endpoints.get(name) ?? []) {
      const { method, path } = operation;
      const place = path === undefined ? `/${name}` : `/${name}/${path}`;
      const documentation = documentations.get(name)?.[operationKey(operation)];
      paths[place] = {
        ...paths[place],
        [method.toLowerCase()]: describe(name, operation, documentation, schemas, responses),
      };
    }
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Kinora",
      version: "1",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
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
      schemas: {
        ErrorCode: { type: "string", enum: Object.keys(errorCodes) },
        Error: errorSchema,
        ErrorDetails: errorDetailsSchema(),
        FieldError: fieldErrorSchema,
        ...schemas.components(paths),
      },
      responses: Object.fromEntries([...responses].sort(([one], [other]) => one.localeCompare(other))),
      parameters: sharedParameters,
      headers: sharedHeaders,
    },
  };
}

function describe(
  endpoint: string,
  operation: Declaration,
  documentation: OperationDocumentation = { description: operation.summary },
  schemas: Schemas,
  shared: Map<string, Schema>,
): Schema {
  const {
    method,
    auth,
    summary,
    idempotencyKey,
    query,
    request,
    rawBody,
    response,
    policies,
    bodyIsOptional,
  } = operation;
  const parameters = Array.from(operation.path?.matchAll(/\{(\w+)\}/g) ?? [], ([, name = ""]) => name);
  const words = [
    method.toLowerCase(),
    ...endpoint.split("-").map((word) => word[0]?.toUpperCase() + word.slice(1)),
    ...parameters.map((name) => `By${name[0]?.toUpperCase()}${name.slice(1)}`),
  ];
  const isConditional = response[304] === null;
  const content = request
    ? { schema: schemas.of(request, "input"), ...exampleOf(documentation.request) }
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
      ...parameters.map((name) => ({
        name,
        in: "path",
        required: true,
        schema: { type: "string" },
        ...exampleOf(documentation.path?.[name]),
      })),
      ...(idempotencyKey ? [reference("parameters", "IdempotencyKey")] : []),
      ...(query ? queryParameters(query, documentation.query) : []),
      ...(isConditional ? [reference("parameters", "IfNoneMatch")] : []),
      reference("parameters", "AcceptLanguage"),
      reference("parameters", "RequestId"),
    ],
    ...(content
      ? { requestBody: { required: bodyIsOptional !== true, content: { "application/json": content } } }
      : {}),
    responses: {
      ...successes(operation, documentation, schemas),
      ...failures(operation, documentation, schemas, shared),
    },
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
  metrics: [{ metricsToken: [] }, { secretKey: [] }],
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
    schema: { ...defaultOf(query.shape[name]), ...(typeof schema === "object" ? schema : {}) },
    ...exampleOf(queryExample(schema, examples?.[name])),
  }));
}

/** What stands for a parameter that is not there, as its schema reads that: it may go through more than zod describes. */
function defaultOf(parameter: z.core.$ZodType | undefined): { default?: unknown } {
  const read = parameter && z.safeParse(parameter, undefined);
  return read?.data === undefined ? {} : { default: read.data };
}

/** As its type has it; a URL has texts alone. */
function queryExample(schema: object | boolean, example: string | undefined): string | number | undefined {
  const isNumber = typeof schema === "object" && "type" in schema && schema.type === "integer";
  return isNumber && example !== undefined ? Number(example) : example;
}

const standardHeaders = {
  "X-Request-Id": reference("headers", "RequestId"),
  "Content-Language": reference("headers", "ContentLanguage"),
  "Cache-Control": reference("headers", "CacheControl"),
};

const rateLimitHeaders = {
  "RateLimit-Policy": reference("headers", "RateLimitPolicy"),
  "RateLimit": reference("headers", "RateLimit"),
};

function headersOf({ policies, idempotencyKey }: Declaration): Record<string, unknown> {
  return {
    ...standardHeaders,
    ...(policies?.length ? rateLimitHeaders : {}),
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
  schemas: Schemas,
): Record<string, Schema> {
  const headers = {
    ...headersOf(operation),
    ...(operation.response[304] === null ? { ETag: reference("headers", "ETag") } : {}),
    ...(operation.cache
      ? {
        "Cache-Control": { ...sharedHeaders.CacheControl, example: cacheControlOf(operation.cache) },
        "Age": reference("headers", "Age"),
        "Cache-Status": reference("headers", "CacheStatus"),
      }
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
          [operation.mediaType ?? "application/json"]: {
            schema: schemas.of(schema, "output"),
            ...exampleOf(responses[Number(status)]),
          },
        },
      }),
    }]),
  );
}

/** One answer for each status, with all codes that share it; the same for all operations that have these codes. */
function failures(
  operation: Declaration,
  { responses = {} }: OperationDocumentation,
  schemas: Schemas,
  shared: Map<string, Schema>,
): Record<string, Schema> {
  const codes = errorsOf(operation);
  const statuses = [...new Set(codes.map((code) => errorCodes[code].status))].sort();
  return Object.fromEntries(statuses.map((status) => {
    const sharing = codes.filter((code) => errorCodes[code].status === status);
    const failure = failureOf(status, sharing);
    const own = operation.response[status];
    if (!own) {
      const name = sharing.join("_");
      shared.set(name, failure);
      return [String(status), reference("responses", name)];
    }
    const { schema, examples } = failure.content["application/json"];
    return [String(status), {
      ...failure,
      content: {
        "application/json": {
          schema: { anyOf: [schema, schemas.of(own, "output")] },
          examples: { answer: { value: responses[status] }, ...examples },
        },
      },
    }];
  }));
}

/** What is answered with a status to requests that fail by these codes. */
function failureOf(status: number, codes: readonly ErrorCode[]) {
  const mayWait = codes.some((code) => detailsOf(code).includes("retry_after"));
  return {
    description: codes.map((code) => `\`${code}\` ${errorCodes[code].category}`).join(" · "),
    headers: {
      ...standardHeaders,
      ...(status === 401 ? { "WWW-Authenticate": reference("headers", "WwwAuthenticate") } : {}),
      ...(status === 429 ? rateLimitHeaders : {}),
      ...(mayWait ? { "Retry-After": reference("headers", "RetryAfter") } : {}),
    },
    content: {
      "application/json": {
        schema: reference("schemas", "Error"),
        examples: Object.fromEntries(codes.map((code) => [code, { value: exampleError(code) }])),
      },
    },
  };
}
