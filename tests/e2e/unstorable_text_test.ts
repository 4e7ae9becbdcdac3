/**
 * Postgres stores no NUL, and JSON in it no lone surrogate. Each text that a client may send has either in its turn; the
 * answer says what is wrong, or does not mind, and is never ours to explain.
 */
import assert from "node:assert/strict";
import { errorCodes } from "../../supabase/functions/_shared/errors/error-codes.ts";
import { allOperations, type Operation } from "../operations.ts";
import { shared } from "../shared.ts";
import { readAnswer } from "./support/answer.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { credentialsFor } from "./support/credentials.ts";
import { exampleRequest } from "./support/example-requests.ts";
import { sign } from "./support/fal-webhook.ts";

const backend = shared(() => startBackend({ trustClientAddress: true }));
let guest: Guest;
let admin: Guest;

Deno.test.beforeAll(async () => {
  await backend.database.sql`update guard.policies set max_hits = 300, window_seconds = 1`;
  [guest, admin] = await Promise.all([backend.signIn(1_000), backend.signInAdmin()]);
});

/** The value as often as it has texts, with `text` in the place of another one each time. */
function withText(value: unknown, text: string): unknown[] {
  if (typeof value === "string") return [text];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) =>
    withText(member, text).map((changed) =>
      Array.isArray(value)
        ? value.map((each, index) => `${index}` === name ? changed : each)
        : { ...value, [name]: changed }
    )
  );
}

/** What a URL can hold of it: each parameter of the operation, with `a\u0000b`. */
function queriesOf({ query }: Operation): string[] {
  return Object.keys(query?.shape ?? {}).map((name) => `?${new URLSearchParams({ [name]: "a\u0000b" })}`);
}

for (const operation of allOperations) {
  const { method, auth, place } = operation;
  const { query, body } = exampleRequest(operation);
  const requests = [
    ...queriesOf(operation).map((query) => ({ query, body })),
    ...["a\u0000b", "a\ud800b"].flatMap((text) => withText(body, text)).map((body) => ({ query, body })),
  ];
  if (requests.length === 0) continue;

  Deno.test(`${operation.operation} is not at fault for text that cannot be stored`, async () => {
    for (const request of requests) {
      const text = JSON.stringify(request.body);
      const answer = await readAnswer(
        await fetch(`${backend.stack.url}/functions/v1/${place}${request.query}`, {
          method,
          headers: {
            "content-type": "application/json",
            ...(auth === "signed" && text !== undefined
              ? await sign(backend, text, { requestId: crypto.randomUUID() })
              : {}),
            ...(operation.idempotencyKey === undefined ? {} : { "idempotency-key": crypto.randomUUID() }),
            ...credentialsFor(backend, auth === "admin" ? admin : guest, auth),
          },
          ...(text === undefined ? {} : { body: text }),
        }),
      );
      assert(
        answer.status < 500,
        `${JSON.stringify(request)}: ${answer.status} ${JSON.stringify(answer.body)}`,
      );
      if (answer.status === errorCodes.ERR_4005.status) guest = await backend.signIn(1_000);
    }
  });
}
