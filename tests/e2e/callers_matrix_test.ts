/**
 * What every kind of caller gets from every endpoint, held to the second table of docs/security.md. The operations are found
 * from the declarations; each is asked a well-formed request, so that only the caller decides.
 */
import assert from "node:assert/strict";
import { isErrorCode } from "../../supabase/functions/_shared/errors/error-codes.ts";
import { allOperations, type Operation } from "../operations.ts";
import { type CallerKind, readAnswers } from "../security-document.ts";
import { type Answer, assertError } from "./support/answer.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import { badCredentials } from "./support/bad-credentials.ts";
import { type Request, requestAbout } from "./support/example-requests.ts";
import { priceOfKling } from "./support/videos.ts";

const answers = await readAnswers();

const backend = shared(startBackend);

Deno.test.beforeAll(async () => {
  // All callers are of one network.
  await backend.database.sql`
    update guard.policies set max_hits = 300 where name = 'takedown_notices_network'`;
});

/** The tokens that are none of a user's; several may be of one kind. */
const badTokens: Partial<Record<CallerKind, string[]>> = {
  "forged": [
    "a token signed with another key",
    "a token unsigned",
    "a token signed with the public key as a secret",
  ],
  "expired": ["a token expired", "a token without an end"],
  "audience": ["a token for another audience", "a token without an audience"],
  "issuer": ["a token of another issuer", "a token without an issuer"],
  "role": ["a token for the role anon", "a token for the role service_role", "a token without a role"],
};

/** What the columns of users change in their rows. */
const userColumns: Partial<Record<CallerKind, Record<string, unknown>>> = {
  "guest": {},
  "user": {},
  "suspended": { is_banned: true },
  "closed": { closed_at: new Date() },
  "admin": { is_admin: true },
};

/** The guest links an identity: from then on their token says that they are none. */
async function linkIdentity(guest: Guest): Promise<string> {
  await backend.database.sql`
    update auth.users set is_anonymous = false, email = ${`${guest.id}@example.com`} where id = ${guest.id}`;
  const { data: { session }, error } = await guest.supabase.auth.refreshSession();
  assert(session, `No session: ${error?.message}`);
  return session.access_token;
}

interface Call {
  readonly what: string;
  readonly headers: Record<string, string>;
  readonly request: Request;
}

/** What a user whose row has these columns sends. */
async function callOf(
  operation: Operation,
  caller: CallerKind,
  columns: Record<string, unknown>,
): Promise<Call> {
  const guest = await backend.signIn(priceOfKling);
  // Jobs are made before an account is suspended.
  const request = await requestAbout(backend, guest, operation);
  const token = caller === "guest" ? guest.token : await linkIdentity(guest);
  const row = { id: guest.id, ...columns };
  const { sql } = backend.database;
  await sql`insert into accounts.users ${sql(row)} on conflict (id) do update set ${sql(row)}`;
  const headers = { apikey: backend.stack.publishableKey, authorization: `Bearer ${token}` };
  return { what: caller, headers, request };
}

/** All send the same: a request that its user could send. */
interface Strangers {
  readonly request: Request;
  readonly credentials: Record<string, Record<string, string>>;
}

async function prepareStrangers(operation: Operation): Promise<Strangers> {
  const guest = await backend.signIn(priceOfKling);
  const request = await requestAbout(backend, guest, operation);
  return { request, credentials: await badCredentials(backend, guest, "user") };
}

/** What is sent with every set of credentials that a caller of this kind has, who is no user. */
function callsOfStranger(caller: CallerKind, { request, credentials }: Strangers): Call[] {
  const tokens = badTokens[caller];
  if (tokens === undefined) {
    const headers: Record<string, string> = caller === "secret key"
      ? { apikey: backend.stack.secretKey }
      : {};
    return [{ what: caller, headers, request }];
  }
  return tokens.map((what) => {
    const headers = credentials[what];
    assert(headers, what);
    return { what, headers, request };
  });
}

for (const declared of allOperations) {
  const { place, method, operation, idempotencyKey } = declared;
  // Refusals first: from then on an isolate may have the catalogue in its memory.
  const expected = answers.get(operation);
  if (expected === undefined) {
    throw new Error(`docs/security.md has no row for ${operation}: run \`deno task generate\``);
  }
  const row = [...expected].sort(([, one], [, other]) => other - one);
  let strangers: Promise<Strangers> | undefined;
  for (const [caller, expected] of row) {
    Deno.test(`${operation}: ${caller} gets ${expected}`, async () => {
      const columns = userColumns[caller];
      const calls = columns === undefined
        ? callsOfStranger(caller, await (strangers ??= prepareStrangers(declared)))
        : [await callOf(declared, caller, columns)];
      for (const { what, headers, request: { query, body } } of calls) {
        const answer: Answer = await backend.call(`${place}${query}`, {
          method,
          headers: {
            ...headers,
            ...(idempotencyKey === undefined ? {} : { "idempotency-key": crypto.randomUUID() }),
            ...(body === undefined ? {} : { "content-type": "application/json" }),
          },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        });
        const code = `ERR_${expected}`;
        if (isErrorCode(code)) assertError(answer, code, what);
        else assert.deepEqual([what, answer.status], [what, expected], JSON.stringify(answer.body));
      }
    });
  }
}
