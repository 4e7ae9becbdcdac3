/** The parts of the OpenAPI document that operations refer to. */
import { languages } from "../../supabase/functions/_shared/errors/languages.ts";

export type Schema = Record<string, unknown>;

export const reference = (kind: string, name: string) => ({ $ref: `#/components/${kind}/${name}` });

export const exampleRequestId = "0d5cd1f5-3c5b-4f3e-9d67-1f6d0a4e7f11";

/** The body of every error. */
export const errorSchema: Schema = {
  type: "object",
  required: ["error"],
  properties: {
    error: {
      type: "object",
      required: ["code", "message", "details", "request_id"],
      properties: {
        code: reference("schemas", "ErrorCode"),
        message: { type: "string", description: "For people, in the language of Content-Language" },
        details: {
          type: "object",
          description: "For the app; the same in every language",
          additionalProperties: true,
        },
        request_id: { type: "string" },
      },
    },
  },
};

export const sharedParameters = {
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
    example: exampleRequestId,
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
    example: '"42"',
  },
};

export const sharedHeaders = {
  RequestId: {
    description: "The request's id",
    schema: { type: "string" },
    example: exampleRequestId,
  },
  ContentLanguage: {
    description: "The language of messages",
    schema: { type: "string", enum: languages },
    example: "en",
  },
  CacheControl: {
    description: "Whether and for how long the answer may be kept",
    schema: { type: "string" },
    example: "no-store",
  },
  Age: {
    description: "Seconds since the answer was made, where it comes from memory",
    schema: { type: "integer", minimum: 0 },
    example: 17,
  },
  CacheStatus: {
    description:
      "Where it comes from memory: `ttl` is how many seconds it is still fresh, less than 0 while the database is away",
    schema: { type: "string" },
    example: "kinora; hit; ttl=43",
  },
  ETag: { description: "Changes when the body does", schema: { type: "string" }, example: '"42"' },
  WwwAuthenticate: {
    description: "The kind of credentials that is missing",
    schema: { type: "string", enum: ["Bearer"] },
    example: "Bearer",
  },
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
  RetryAfter: { description: "Seconds to wait", schema: { type: "integer", minimum: 1 }, example: 1820 },
  IdempotencyReplayed: {
    description: "`true` where the outcome is that of an earlier request with the same key",
    schema: { type: "string", enum: ["true"] },
    example: "true",
  },
};

export const securitySchemes = {
  publishableKey: {
    type: "apiKey",
    in: "header",
    name: "apikey",
    description: "A publishable key: sb_publishable_…",
  },
  secretKey: { type: "apiKey", in: "header", name: "apikey", description: "A secret key: sb_secret_…" },
  metricsToken: { type: "http", scheme: "bearer", description: "The token of whoever collects metrics" },
  workerKey: { type: "http", scheme: "bearer", description: "The database's key for waking the worker" },
  userToken: {
    type: "http",
    scheme: "bearer",
    bearerFormat: "JWT",
    description: "The user's access token; guests have one, too",
  },
};
