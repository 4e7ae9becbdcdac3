/** What two attempts of telling Apple come to, of which the first outlives its lease. */
import assert from "node:assert/strict";
import { createGuest } from "../support/accounts.ts";
import { claimTasks, type Task } from "../support/generation.ts";
import { first } from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const database = sharedDatabase();
const { sql } = database;

/** Both attempts have a code that is good once. */
async function twoAttempts(): Promise<{ userId: string; stale: Task; current: Task }> {
  const userId = await createGuest(database, 0);
  await sql`select api.delete_user_profile(p_user_id => ${userId}, p_apple_authorization_code => 'code')`;
  const claim = async () =>
    (await claimTasks(sql, 10, userId)).find(({ kind }) => kind === "revoke_apple_sign_in") ?? assert.fail();
  const stale = await claim();
  await database.advance(61_000);
  return { userId, stale, current: await claim() };
}

async function finish({ task_id, attempt, subject }: Task, failure: string | null): Promise<boolean> {
  const { finished } = await first(sql<{ finished: boolean }[]>`
    select (api.finish_apple_revocation(${task_id}, ${attempt}, ${subject}, ${failure}) #> '{data,finished}')::boolean as finished`);
  return finished;
}

async function left(userId: string): Promise<{ tasks: number; alerts: number }> {
  const row = await first(sql<{ tasks: number; alerts: number }[]>`
    select
      (select count(*)::int from queue.tasks as t where t.subject = ${userId} and t.kind = 'revoke_apple_sign_in') as tasks,
      (select count(*)::int from ops.alerts as a where a.subject = ${userId}) as alerts`);
  return { ...row };
}

const spent = "Apple answered 400: invalid_grant";

Deno.test("an attempt that has Apple revoke after its lease withdraws what the next one told of the spent code", async () => {
  const { userId, stale, current } = await twoAttempts();
  assert(await finish(current, spent));
  assert.deepEqual(await left(userId), { tasks: 0, alerts: 1 });
  for (const _again of [1, 2]) {
    assert(await finish(stale, null));
    assert.deepEqual(await left(userId), { tasks: 0, alerts: 0 });
  }
});

Deno.test("an attempt that has Apple revoke after its lease leaves nothing to try, and the next one tells nobody", async () => {
  const { userId, stale, current } = await twoAttempts();
  assert(await finish(stale, null));
  assert.equal(await finish(current, spent), false);
  assert.deepEqual(await left(userId), { tasks: 0, alerts: 0 });
});

Deno.test("an attempt that fails after its lease tells nobody: the task is the next one's", async () => {
  const { userId, stale, current } = await twoAttempts();
  assert.equal(await finish(stale, spent), false);
  assert.deepEqual(await left(userId), { tasks: 1, alerts: 0 });
  assert(await finish(current, null));
  assert.deepEqual(await left(userId), { tasks: 0, alerts: 0 });
});
