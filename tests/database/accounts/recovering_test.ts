/** Finding a guest again whose session is lost, by their Apple Account. */
import assert from "node:assert/strict";
import { closeAccount } from "../support/accounts.ts";
import { times } from "../support/connections.ts";
import { startVideo } from "../support/generation.ts";
import { balancesOf, first, violations } from "../support/ledger.ts";
import { createHeir, type MergeAnswer, mergeGuest, signedInGuest } from "../support/merging.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const database = sharedDatabase();
const { sql } = database;

interface AppTransaction {
  environment: "production" | "sandbox";
  app_transaction_id: string;
}
const newAppTransaction = (): AppTransaction => ({
  environment: "production",
  app_transaction_id: crypto.randomUUID().replaceAll("-", ""),
});

/** A device check of a guest whose app says which Apple Account it is. */
async function check(userId: string, app: AppTransaction): Promise<void> {
  await sql`select api.begin_device_check(${userId}, '192.0.2.1', p_app_transaction => ${
    sql.json({ ...app })
  })`;
}

async function recover(userId: string, app: AppTransaction): Promise<MergeAnswer> {
  const { answer } = await first(sql<{ answer: MergeAnswer }[]>`
    select api.recover_guest(${userId}, ${sql.json({ ...app })}) as answer`);
  return answer;
}

/** A guest of an Apple Account, who was idle for so many days. */
async function lostGuest(app: AppTransaction, idleDays = 8) {
  const guest = await signedInGuest(database, 10);
  await check(guest.id, app);
  await sql`
    update auth.sessions set created_at = now() - interval '90 days',
      refreshed_at = (now() - ${idleDays}::integer * interval '1 day') at time zone 'utc' where user_id = ${guest.id}`;
  return guest;
}

const statusOf = ({ error, details }: MergeAnswer) => [error, details?.status];

Deno.test("a guest who lost their session finds credits and videos again, from a new one", async () => {
  const app = newAppTransaction();
  const lost = await lostGuest(app);
  await startVideo(sql, lost.id);
  const found = await signedInGuest(database, 1);
  // As an app does at each start: whoever was first stays the one who is found.
  await check(found.id, app);
  const expected = {
    user_id: found.id,
    merged_user_id: lost.id,
    credits_moved: 6,
    jobs_moved: 1,
    credits_remaining: 7,
  };
  assert.deepEqual((await recover(found.id, app)).data, expected);
  assert.deepEqual((await recover(found.id, app)).data, expected, "a second call");
  assert.equal((await balancesOf(sql, found.id)).available, 7);
  // The next new guest of that account, on the next day, finds both.
  await sql`update auth.sessions set created_at = now() - interval '8 days' where user_id = ${found.id}`;
  const next = await signedInGuest(database, 0);
  assert.deepEqual(statusOf(await recover(next.id, app)), ["ERR_4009", "recovered"]);
  await sql`update devices.app_transactions set recovered_at = recovered_at - interval '25 hours'`;
  assert.equal((await recover(next.id, app)).data?.credits_moved, 7);
  // And who then becomes somebody is found by signing in, not by this.
  const heir = await createHeir(sql);
  assert.equal((await mergeGuest(sql, heir, next)).data?.credits_moved, 7);
  await sql`update devices.app_transactions set recovered_at = null`;
  const another = await signedInGuest(database, 0);
  assert.deepEqual(statusOf(await recover(another.id, app)), ["ERR_4009", "not_guest"]);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("a guest who may be using another device, has an identity, is closed, suspended or nobody is not found", async () => {
  const caller = await signedInGuest(database, 0);
  const used = newAppTransaction();
  await lostGuest(used, 6);
  assert.deepEqual(statusOf(await recover(caller.id, used)), ["ERR_4009", "in_use"]);
  const linked = newAppTransaction();
  const user = await lostGuest(linked);
  await sql`update auth.users set is_anonymous = false where id = ${user.id}`;
  assert.deepEqual(statusOf(await recover(caller.id, linked)), ["ERR_4009", "not_guest"]);
  const banned = newAppTransaction();
  const suspended = await lostGuest(banned);
  await sql`update accounts.users set is_banned = true where id = ${suspended.id}`;
  assert.deepEqual(statusOf(await recover(caller.id, banned)), ["ERR_4009", "suspended"]);
  const gone = newAppTransaction();
  await closeAccount(sql, (await lostGuest(gone)).id);
  assert.deepEqual(statusOf(await recover(caller.id, gone)), ["ERR_4009", "closed"]);
  assert.equal((await recover(caller.id, newAppTransaction())).error, "ERR_4007");
  const own = newAppTransaction();
  await check(caller.id, own);
  assert.equal((await recover(caller.id, own)).error, "ERR_4007");
  // The same number in the sandbox is another's.
  const app = newAppTransaction();
  await lostGuest(app);
  assert.equal((await recover(caller.id, { ...app, environment: "sandbox" })).error, "ERR_4007");
  // Nobody with an account of their own takes a guest in by this.
  assert.deepEqual(statusOf(await recover(await createHeir(sql), app)), ["ERR_4009", "not_guest"]);
  assert.equal((await balancesOf(sql, caller.id)).available, 0);
});

Deno.test("of many who present one proof at once, one finds the guest", async () => {
  const app = newAppTransaction();
  await lostGuest(app);
  const callers = await times(5, () => signedInGuest(database, 0));
  const answers = await Promise.all(callers.map(({ id }) => recover(id, app)));
  assert.equal(answers.filter(({ data }) => data?.credits_moved === 10).length, 1);
  for (const answer of answers.filter(({ data }) => data === undefined)) {
    assert.equal(answer.error, "ERR_4009", JSON.stringify(answer));
  }
  const totals = await Promise.all(callers.map(async ({ id }) => (await balancesOf(sql, id)).available));
  assert.equal(totals.reduce((sum, each) => sum + each, 0), 10);
});

Deno.test("whoever comes after a closed account is noted in its place", async () => {
  const app = newAppTransaction();
  await closeAccount(sql, (await lostGuest(app)).id);
  await lostGuest(app);
  const caller = await signedInGuest(database, 0);
  assert.equal((await recover(caller.id, app)).data?.credits_moved, 10);
});
