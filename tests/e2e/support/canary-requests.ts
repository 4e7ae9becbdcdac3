/** Requests with a canary in every place, to every endpoint, and by whom they are sent. */
import fc from "fast-check";
import { decodeJwt, importJWK, SignJWT } from "jose";
import postgres from "postgres";
import * as z from "zod/mini";
import type { Stack } from "../../../local/stack.ts";
import type { Declaration } from "../../../supabase/functions/_shared/endpoint/operation.ts";
import { allOperations, type Operation } from "../../operations.ts";
import { signIn } from "./backend.ts";
import type { Canary } from "./canaries.ts";
import { arbitraryOf } from "./json-schema-arbitrary.ts";
import { kling } from "./videos.ts";

interface Sent {
  path: string;
  method: string;
  headers: Record<string, string>;
  body?: string;
}

/** What some fields must hold for a request to go all its way. */
const known: Record<string, unknown> = {
  model_id: kling,
  prompt: "A fox in the snow",
  device_token: btoa("a token"),
};

/** A body that the operation takes, without what may be left out, and the fields that it may have. */
function exampleOf({ request }: Declaration): { example: Record<string, unknown>; fields: string[] } {
  if (!request) return { example: {}, fields: [] };
  const { properties = {}, required = [], ...schema } = z.toJSONSchema(request, { io: "input" });
  const needed = Object.fromEntries(Object.entries(properties).filter(([name]) => required.includes(name)));
  const [sample] = fc.sample(arbitraryOf({ ...schema, properties: needed, required }), {
    numRuns: 1,
    seed: 1,
  });
  const example = z.record(z.string(), z.unknown()).parse(sample);
  for (const name of required) if (Object.hasOwn(known, name)) example[name] = known[name];
  return { example, fields: Object.keys(properties) };
}

/** Requests that have the canary in each place where a request can have anything. */
export function requestsWith({ value }: Canary, operation: Operation): Sent[] {
  const { place: endpoint, method, request, rawBody, query } = operation;
  const { example, fields } = exampleOf(operation);
  const json = { "content-type": "application/json" };
  const keyed = { ...json, "idempotency-key": crypto.randomUUID() };
  const encoded = encodeURIComponent(value);
  const bodies = request || rawBody
    ? [
      value,
      JSON.stringify(value),
      `{"prompt": "${value}`,
      ...fields.map((name) => JSON.stringify({ ...example, [name]: value })),
      JSON.stringify({ ...example, [value]: value, device_id: value, email: value }),
    ]
    : [];
  const parameters = ["unknown", ...Object.keys(query?.def.shape ?? {})];
  const whole = {
    method,
    ...(request ? { headers: keyed, body: JSON.stringify(example) } : { headers: {} }),
  };
  return [
    ...parameters.map((name) => ({ ...whole, path: `${endpoint}?${name}=${encoded}` })),
    { ...whole, path: `${endpoint}?${encoded}=1` },
    { ...whole, path: `${endpoint}/${encoded}` },
    { ...whole, method: "PUT", path: endpoint },
    ...[
      { authorization: `Bearer ${value}` },
      { authorization: value },
      { apikey: value },
      { "content-type": value },
      {
        "idempotency-key": value,
        "accept-language": value,
        "user-agent": value,
        "x-device-id": value,
        "x-request-id": value,
        "if-none-match": value,
        cookie: `session=${value}`,
        origin: value,
      },
    ].map((headers) => ({ ...whole, path: endpoint, headers: { ...whole.headers, ...headers } })),
    ...bodies.map((body) => ({
      path: endpoint,
      method,
      headers: { ...keyed, "idempotency-key": crypto.randomUUID() },
      body,
    })),
  ];
}

/** Guests, admins and machines by whom the requests are sent: for each operation somebody else. */
export async function callersOf(
  stack: Stack,
  sql: postgres.Sql,
  signingKey: JsonWebKey & { kid: string },
): Promise<Map<Operation, Record<string, string>>> {
  const callers = new Map<Operation, Record<string, string>>();
  for (const operation of allOperations) {
    const { id, token } = await signIn(stack);
    await sql`select credits.add_credits(${id}, 1000000, 'for a test')`;
    const apikey = stack.publishableKey;
    switch (operation.auth) {
      case "user":
        callers.set(operation, { apikey, authorization: `Bearer ${token}` });
        break;
      case "admin": {
        await sql`update accounts.users set is_admin = true where id = ${id}`;
        const admin = await new SignJWT({ ...decodeJwt(token), is_anonymous: false, aal: "aal2" })
          .setProtectedHeader({ alg: "ES256", typ: "JWT", kid: signingKey.kid })
          .sign(await importJWK(signingKey, "ES256"));
        callers.set(operation, { apikey, authorization: `Bearer ${admin}` });
        break;
      }
      case "service":
      case "worker":
      case "metrics":
        callers.set(operation, { apikey: stack.secretKey });
        break;
      default:
        callers.set(operation, {});
    }
  }
  return callers;
}
