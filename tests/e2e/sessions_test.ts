/** Sessions: listed, ended one by one, and refused from that moment on, everywhere. */
import assert from "node:assert/strict";
import type { SupabaseClient } from "@supabase/supabase-js";
import { decodeJwt } from "jose";
import { GetSessionsResponse } from "../../supabase/functions/sessions/schema.ts";
import { allOperations } from "../operations.ts";
import { shared } from "../shared.ts";
import { assertError, bodyOf } from "./support/answer.ts";
import { type Backend, newClient, startBackend } from "./support/backend.ts";
import { exampleRequest, requestAbout } from "./support/example-requests.ts";

const backend: Backend = shared(startBackend);

/** Signs somebody in with Apple on one more device. */
async function device(sub: string) {
  const supabase = newClient(backend.stack);
  const token = await backend.stack.simulators.appleId.identityToken({ sub });
  const { data: { session } } = await supabase.auth.signInWithIdToken({ provider: "apple", token });
  assert(session);
  const call = (path: string, method = "GET") => callAs(supabase, path, method);
  return { supabase, id: String(decodeJwt(session.access_token).session_id), call };
}

async function callAs(supabase: SupabaseClient, path: string, method: string) {
  const { data: { session } } = await supabase.auth.getSession();
  const headers = { apikey: backend.stack.publishableKey, authorization: `Bearer ${session?.access_token}` };
  return await backend.call(path, { method, headers });
}

// First: an isolate that has answered somebody has the catalogue in its memory.
for (const operation of allOperations.filter(({ auth }) => auth === "user" || auth === "admin")) {
  Deno.test(`${operation.operation} refuses the token of a session that has ended, and of another's`, async () => {
    const [caller, other] = [await backend.signInAdmin(), await backend.signIn()];
    // What is signed is read before the session is asked for.
    const { query, body } = ["merge-guest", "purchases", "recover-guest"].includes(operation.name)
      ? await requestAbout(backend, other, operation)
      : exampleRequest(operation);
    const ask = () =>
      caller.call(`${operation.place}${query}`, {
        method: operation.method,
        ...(body === undefined ? {} : { body }),
        ...(operation.idempotencyKey === undefined ? {} : { key: crypto.randomUUID() }),
      });
    const { sql } = backend.database;
    const { session_id } = decodeJwt(caller.token);
    await sql`update auth.sessions set user_id = ${other.id} where id = ${String(session_id)}`;
    assertError(await ask(), "ERR_4005", "another's session");
    await sql`delete from auth.sessions where id = ${String(session_id)}`;
    assertError(await ask(), "ERR_4005", "a session that is gone");
  });
}

Deno.test("sessions are listed with their last use, and ended one by one or all the others at once", async () => {
  const sub = crypto.randomUUID();
  const [phone, tablet, mac] = [await device(sub), await device(sub), await device(sub)];
  const listed = async (from: typeof phone) =>
    bodyOf(await from.call("sessions"), 200, GetSessionsResponse).sessions;
  await backend.database.sql`
    update auth.sessions set created_at = now() - interval '3 days' where id in (${phone.id}, ${tablet.id}, ${mac.id})`;
  await phone.supabase.auth.refreshSession();
  const [first, ...others] = await listed(phone);
  assert.deepEqual([first?.id, first?.is_current], [phone.id, true]);
  assert(Date.parse(first?.last_used_at ?? "") - Date.parse(first?.created_at ?? "") > 2 * 24 * 3_600_000);
  assert.deepEqual(
    others.map(({ id, is_current }) => [id, is_current]).sort(),
    [
      [tablet.id, false],
      [mac.id, false],
    ].sort(),
  );

  assert.equal((await phone.call(`sessions?session_id=${tablet.id}`, "DELETE")).status, 204);
  assertError(await tablet.call("user-profile"), "ERR_4005", "at once");
  assert.notEqual((await tablet.supabase.auth.refreshSession()).error, null);
  assertError(await phone.call(`sessions?session_id=${tablet.id}`, "DELETE"), "ERR_4007", "a second time");
  const another = await device(crypto.randomUUID());
  assertError(await phone.call(`sessions?session_id=${another.id}`, "DELETE"), "ERR_4007", "another's");
  assert.equal((await another.call("user-profile")).status, 200);

  const ended = await phone.call("sessions?others=true", "DELETE");
  assert.deepEqual([ended.status, ended.body], [200, { ended: 1 }]);
  assertError(await mac.call("user-profile"), "ERR_4005", "the others");
  assert.deepEqual((await listed(phone)).map(({ id }) => id), [phone.id]);
  assert.equal((await phone.call(`sessions?session_id=${phone.id}`, "DELETE")).status, 204);
  assertError(await phone.call("sessions"), "ERR_4005", "one's own");
});

Deno.test("whoever signs out on the device is refused from then on with the token that is left", async () => {
  const guest = await backend.signIn();
  assert.equal((await guest.call("user-profile")).status, 200);
  assert.equal((await guest.supabase.auth.signOut({ scope: "local" })).error, null);
  assertError(await guest.call("user-profile"), "ERR_4005", "signed out");
});
