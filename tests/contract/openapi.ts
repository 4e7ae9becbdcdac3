/**
 * The OpenAPI document, made from the endpoints' declarations: what the wrapper enforces is what it says.
 */
import * as z from "zod/mini";
import { type ErrorCode, errorCodes } from "../../supabase/functions/_shared/error-codes.ts";
import { errorMessage } from "../../supabase/functions/_shared/error-messages.ts";
import { languages } from "../../supabase/functions/_shared/i18n.ts";
import { type Declaration, errorsOf } from "../../supabase/functions/_shared/operation.ts";

type Schema = Record<string, unknown>;

const reference = (kind: string, name: string) => ({ $ref: `#/components/${kind}/${name}` });

/** The whole document, for the operations of each endpoint by the endpoint's name. */
export function openApiDocument(endpoints: ReadonlyMap<string, readonly Declaration[]>): Schema {
  const names = [...endpoints.keys()].sort();
  const definitions = new Map<string, Component>();
  const paths = Object.fromEntries(names.map((name) => [
    `/${name}`,
    Object.fromEntries(
      (endpoints.get(name) ?? []).map((operation) => [
        operation.method.toLowerCase(),
        hoistDefinitions(describe(name, operation), definitions),
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
      securitySchemes: {
        publishableKey: {
          type: "apiKey",
          in: "header",
          name: "apikey",
          description: "A publishable key: sb_publishable_…",
        },
        secretKey: { type: "apiKey", in: "header", name: "apikey", description: "A secret key: sb_secret_…" },
        userToken: {
          type: "http",
          scheme: "bearer",
          bearerFormat: "JWT",
          description: "The user's access token; guests have one, too",
        },
      },
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

const errorSchema: Schema = {
  type: "object",
  required: ["error"],
  properties: {
    error: {
      type: "object",
      required: ["code", "message", "details", "request_id"],
      properties: {
        code: reference("schemas", "ErrorCode"),
        message: { type: "string", description: "For people, in the language of Content-Language" },
        details: { type: "object", description: "For the app; the same in every language" },
        request_id: { type: "string" },
      },
    },
  },
};

const sharedParameters = {
  AcceptLanguage: {
    name: "Accept-Language",
    in: "header",
    description: `Preferred languages with weights, among ${languages.join(", ")}`,
    schema: { type: "string" },
    example: "tr-TR, en;q=0.5",
  },
  RequestId: {
    name: "X-Request-Id",
    in: "header",
    description: "Names the request in answers and logs; a new one is made where this is absent or malformed",
    schema: { type: "string", pattern: "^[A-Za-z0-9._-]{8,64}$" },
  },
  IdempotencyKey: {
    name: "Idempotency-Key",
    in: "header",
    required: true,
    description:
      "One key for each intention, kept until there is an answer. Visible ASCII, bare or in double quotes; " +
      "the outcome is kept for 24 hours in the scope of caller and endpoint",
    schema: { type: "string", pattern: '^(?:[\\x21-\\x7e]{1,255}|"[\\x21-\\x7e]{1,510}")$' },
    example: "8e03978e-40d5-43dd-bc93-6894a57f9324",
  },
  IfNoneMatch: {
    name: "If-None-Match",
    in: "header",
    description: "The ETag of the answer that the caller has",
    schema: { type: "string" },
  },
};

const sharedHeaders = {
  RequestId: { description: "The request's id", schema: { type: "string" } },
  ContentLanguage: { description: "The language of messages", schema: { type: "string", enum: languages } },
  CacheControl: {
    description: "Whether and for how long the answer may be kept",
    schema: { type: "string" },
  },
  ETag: { description: "Changes when the body does", schema: { type: "string" } },
  RateLimitPolicy: {
    description: "The limits that apply: `q` requests in `w` seconds",
    schema: { type: "string" },
    example: '"video_generation";q=10;w=3600',
  },
  RateLimit: {
    description: "What is left of them: `r` requests, and `t` seconds until there are more",
    schema: { type: "string" },
    example: '"video_generation";r=7;t=1820',
  },
  RetryAfter: { description: "Seconds to wait", schema: { type: "integer", minimum: 1 } },
  IdempotencyReplayed: {
    description: "`true` where the outcome is that of an earlier request with the same key",
    schema: { type: "string", enum: ["true"] },
  },
};

function describe(endpoint: string, operation: Declaration): Schema {
  const { method, auth, summary, idempotencyKey, query, request, rawBody, response, policies } = operation;
  const words = [
    method.toLowerCase(),
    ...endpoint.split("-").map((word) => word[0]?.toUpperCase() + word.slice(1)),
  ];
  const isConditional = response[304] === null;
  const content = request
    ? { schema: jsonSchema(request, "input") }
    : rawBody
    ? { schema: { description: "The bytes that the sender signed" } }
    : null;
  return {
    operationId: words.join(""),
    summary,
    tags: [auth === "user" ? "app" : auth === "admin" ? "operator" : "machines"],
    security: security[auth],
    ...(policies?.length ? { "x-rate-limit-policies": policies } : {}),
    parameters: [
      ...(idempotencyKey ? [reference("parameters", "IdempotencyKey")] : []),
      ...(query ? queryParameters(query) : []),
      ...(isConditional ? [reference("parameters", "IfNoneMatch")] : []),
      reference("parameters", "AcceptLanguage"),
      reference("parameters", "RequestId"),
    ],
    ...(content ? { requestBody: { required: true, content: { "application/json": content } } } : {}),
    responses: { ...successes(operation), ...failures(operation) },
  };
}

const security: Record<Declaration["auth"], Schema[]> = {
  user: [{ publishableKey: [], userToken: [] }],
  admin: [{ publishableKey: [], userToken: [] }],
  service: [{ secretKey: [] }],
  // The credential is the sender's signature over the raw body, which OpenAPI cannot describe.
  signed: [],
  public: [{}, { secretKey: [] }],
};

function queryParameters(query: z.ZodMiniObject): Schema[] {
  const { properties = {}, required = [] } = z.toJSONSchema(query, { io: "input" });
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: "query",
    required: required.includes(name),
    schema,
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

function successes(operation: Declaration): Record<string, Schema> {
  const headers = {
    ...headersOf(operation),
    ...(operation.response[304] === null ? { ETag: reference("headers", "ETag") } : {}),
  };
  return Object.fromEntries(
    Object.entries(operation.response).map(([status, schema]) => [status, {
      description: statusTexts[Number(status)] ?? "Done",
      headers,
      ...(schema === null
        ? {}
        : { content: { "application/json": { schema: jsonSchema(schema, "output") } } }),
    }]),
  );
}

/** One answer for each status, with all codes that share it. */
function failures(operation: Declaration): Record<string, Schema> {
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
        ...(mayWait ? { "Retry-After": reference("headers", "RetryAfter") } : {}),
      },
      content: {
        "application/json": {
          schema: own ? { anyOf: [schema, jsonSchema(own, "output")] } : schema,
          examples: Object.fromEntries(sharing.map((code) => [code, { value: exampleError(code) }])),
        },
      },
    }];
  }));
}

function detailsOf(code: ErrorCode): readonly string[] {
  return errorCodes[code].details;
}

/** One value for each key of details that the registry knows. */
const exampleDetails: Record<string, unknown> = {
  required: 4,
  available: 1,
  model_id: "3f1c2a52-6a1c-4a58-9d0e-6a2f8f1b7c11",
  reason: "policy",
  policy: "video_generation",
  retry_after: 1820,
  fields: [{ path: "settings.duration_seconds", message: "Invalid input: expected number, received string" }],
  status: "completed",
  limit_bytes: 262144,
  feature: "video_generation",
};

/** The reasons and waits that differ from code to code. */
const exampleExceptions: Partial<Record<ErrorCode, Record<string, unknown>>> = {
  ERR_4012: { retry_after: 1 },
  ERR_4016: { reason: "signature" },
  ERR_5003: { reason: "rejected" },
};

function exampleError(code: ErrorCode): Schema {
  const details = Object.fromEntries(
    detailsOf(code).map((key) => {
      if (!Object.hasOwn(exampleDetails, key)) throw new Error(`details.${key} of ${code} has no example`);
      return [key, exampleExceptions[code]?.[key] ?? exampleDetails[key]];
    }),
  );
  return {
    error: {
      code,
      message: errorMessage(code, "en", details),
      details,
      request_id: "0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11",
    },
  };
}
