/**
 * Whoever waits for the lock of an account is asked again when they have it: the account may have been closed meanwhile, or
 * its user suspended. Every procedure that acts for a user is tried; one that is not in acting-procedures.ts fails the first test.
 */
import assert from "node:assert/strict";
import { type Case, procedures } from "./acting-procedures.ts";
import { createHeir, mergeGuest, signedInGuest } from "../support/merging.ts";
import { createGuest } from "../support/accounts.ts";
import { createAdmin, createCustomer } from "../support/admins.ts";
import { first, type Sql } from "../support/ledger.ts";
import { generateVideo } from "../support/videos.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const key = () => crypto.randomUUID();

/** What has a user among its arguments and acts for none. */
const actForNobody = ["erase_account", "finish_apple_revocation", "load_erasure", "record_error"];

const database = sharedDatabase();
const { sql } = database;

Deno.test("every procedure that acts for a user is tried", async () => {
  const named = await database.sql<{ name: string }[]>`
    select distinct f.proname as name from pg_proc as f
    where f.pronamespace = 'api'::regnamespace and f.proargnames && '{p_user_id,p_admin_id}'`;
  const names = named.map(({ name }) => name).filter((name) => !actForNobody.includes(name));
  assert.deepEqual(names.sort(), Object.keys(procedures).sort());
});

const ends = {
  ERR_4005: (sql: Sql, userId: string) => sql`select accounts.close(${userId})`,
  ERR_4017: (sql: Sql, userId: string) =>
    sql`update accounts.users set is_banned = true, is_admin = false where id = ${userId}`,
};

async function newCase(name: string): Promise<Case> {
  const isAdmin = name.includes("admin");
  const userId = isAdmin ? await createAdmin(sql) : await createGuest(database);
  const other = await createCustomer(sql, 10);
  await sql`update accounts.users set language = 'tr' where id = ${userId}`;
  const { data } = isAdmin ? {} : await generateVideo(sql, userId, { network: key() });
  return { database, userId, other, jobId: data?.job_id ?? key() };
}

/** How many calls of the file's own connections wait for a lock. */
async function waiting(sql: Sql): Promise<number> {
  const { count } = await first(sql<{ count: number }[]>`
    select count(*)::int as count from pg_stat_activity as a
    where a.datname = current_database() and a.wait_event_type = 'Lock'`);
  return count;
}

for (const [name, { waitsFor, call, alsoSuspended }] of Object.entries(procedures)) {
  for (const [code, end] of Object.entries(ends)) {
    const isLetIn = waitsFor === "nobody" || (code === "ERR_4017" && alsoSuspended);
    const state = code === "ERR_4005" ? "closed" : "suspended";
    Deno.test(`${name} answers ${isLetIn ? "with data" : code} where its caller is ${state} while the account is locked`, async () => {
      const tried = await newCase(name);
      const { answering } = await sql.begin(async (holder) => {
        await holder`select credits.lock_account(${waitsFor === "other" ? tried.other : tried.userId})`;
        let isDone = false;
        const answering = Promise.resolve(call(sql, tried)).finally(() => isDone = true);
        answering.catch(() => {});
        for (let look = 0; look < 2_000 && !isDone && await waiting(sql) === 0; look++);
        assert.equal(isDone, waitsFor === "nobody");
        await end(holder, tried.userId);
        return { answering };
      });
      const [row] = await answering;
      assert.equal(row?.answer.error, isLetIn ? undefined : code);
      // And from then on, whatever it waits for.
      const [again] = await call(sql, tried);
      const isClosed = code === "ERR_4005" || alsoSuspended === "once";
      assert.equal(again?.answer.error, isClosed ? "ERR_4005" : alsoSuspended ? undefined : code);
      // A closed account has no language any more.
      for (const refused of [row, again]) {
        if (refused?.answer.error === "ERR_4017") assert.equal(refused.answer.language, "tr");
      }
    });
  }
}

Deno.test("a guest who is merged while the account is locked is refused as one that was closed", async () => {
  for (const name of ["generate_video", "credits", "get_user_profile"]) {
    const guest = await signedInGuest(database);
    const heir = await createHeir(sql);
    const tried = { database, userId: guest.id, other: heir, jobId: key() };
    const { answering } = await sql.begin(async (holder) => {
      await holder`select credits.lock_account(${guest.id})`;
      const answering = Promise.resolve(procedures[name]?.call(sql, tried));
      answering.catch(() => {});
      for (let look = 0; look < 2_000 && await waiting(sql) === 0; look++);
      assert((await mergeGuest(holder, heir, guest)).data, name);
      return { answering };
    });
    assert.equal((await answering)?.[0]?.answer.error, "ERR_4005", name);
  }
});

Deno.test("reads that wait for one another's limit are asked again, too", async () => {
  for (const name of ["models", "video_jobs", "video_status"]) {
    const tried = await newCase(name);
    const { answering } = await sql.begin(async (holder) => {
      await holder`select guard.take('{reads}', ${tried.userId}, null, 'credits')`;
      const answering = Promise.resolve(procedures[name]?.call(sql, tried));
      for (let look = 0; look < 2_000 && await waiting(sql) === 0; look++);
      await ends.ERR_4005(holder, tried.userId);
      return { answering };
    });
    assert.equal((await answering)?.[0]?.answer.error, "ERR_4005", name);
  }
});

Deno.test("a suspended user closes the account, and it is closed as any other", async () => {
  const { userId } = await newCase("delete_user_profile");
  await ends.ERR_4017(sql, userId);
  const { answer } = await first(sql`select api.delete_user_profile(${userId}) as answer`);
  assert.equal(answer.data.user_id, userId);
  const tasks = await sql`select from queue.tasks where subject = ${userId} and kind = 'erase_account'`;
  assert.equal(tasks.length, 1);
});
