/** A user who is deleted in Auth, in the dashboard or by a clean-up: the account closes as its user closes it. */
import assert from "node:assert/strict";
import { runs } from "../../runs.ts";
import { withConnection } from "../../../local/postgres/database.ts";
import { loginAs, type LoginRole, owner } from "../../../local/platform/platform-roles.ts";
import type { TestDatabase } from "../harness.ts";
import {
  claimErasure,
  closeAccount,
  createGuest,
  creditsOf,
  eraseAccount,
  untilErasable,
} from "../support/accounts.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { claimTask, readJob, receiveEvent, submit, succeeded } from "../support/generation.ts";
import { first, type Sql, violations } from "../support/ledger.ts";
import { generateVideo } from "../support/videos.ts";

/** Auth's own role deletes them in its service; the operator in the SQL editor. */
const deleters: LoginRole[] = ["supabase_auth_admin", owner];

function deleteInAuth({ url }: TestDatabase, userIds: string[], as: LoginRole = "supabase_auth_admin") {
  return withConnection(loginAs(as, url), async (sql) => {
    await sql`delete from auth.users where id = any (${userIds})`;
  });
}

async function start(sql: Sql, userId: string): Promise<string> {
  const { data } = await generateVideo(sql, userId);
  assert(data);
  return data.job_id;
}

/** What a closing leaves, without the ids and times that differ from user to user. */
async function traces(sql: Sql, userId: string, jobs: string[]) {
  const user = await first(sql`
    select u.closed_at = core.now() as closed_now, u.display_name, u.language, u.theme_preference, u.is_admin
    from accounts.users as u where u.id = ${userId}`);
  const tasks = await sql`
    select t.kind, t.run_at - core.now() as after, t.owner_id = t.subject as is_own
    from queue.tasks as t where t.owner_id = ${userId} order by t.kind, t.run_at`;
  return {
    user: { ...user },
    credits: await creditsOf(sql, userId),
    sessions: (await sql`select from auth.sessions where user_id = ${userId}`).length,
    tasks: tasks.map((task) => ({ ...task })),
    jobs: await Promise.all(jobs.map(async (jobId) => {
      const { status, error_code, credits_used, balance, tasks } = await readJob(sql, jobId);
      return { status, error_code, credits_used, balance, tasks };
    })),
  };
}

/** Somebody with a name, credits, and a job in each state in which one can be. */
async function busyGuest(database: TestDatabase): Promise<{ userId: string; jobs: string[] }> {
  const { sql } = database;
  const userId = await createGuest(database, 20);
  await sql`update accounts.users set display_name = 'Ada', language = 'tr' where id = ${userId}`;
  const jobs = [];
  for (let count = 0; count < 3; count++) jobs.push(await start(sql, userId));
  const [_pending, running = "", storing = ""] = jobs;
  await submit(sql, running);
  await receiveEvent(sql, await submit(sql, storing), succeeded);
  await claimTask(sql, storing, "store");
  return { userId, jobs };
}

for (const role of deleters) {
  Deno.test(`a user whom ${role} deletes leaves what closing the account leaves`, async () => {
    await using database = await stillDatabase();
    const { sql } = database;
    const [own, deleted] = [await busyGuest(database), await busyGuest(database)];
    await closeAccount(sql, own.userId);
    await deleteInAuth(database, [deleted.userId], role);
    const expected = await traces(sql, own.userId, own.jobs);
    assert.equal(expected.user["closed_now"], true);
    assert.deepEqual(await traces(sql, deleted.userId, deleted.jobs), expected);
    assert.equal((await generateVideo(sql, deleted.userId)).error, "ERR_4005");
    assert.deepEqual(await violations(sql), []);
  });
}

Deno.test("many who are deleted at once are all closed, and their neighbours stay", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const guests = [];
  for (let count = 0; count < 5; count++) guests.push(await createGuest(database));
  const [kept = "", ...deleted] = guests;
  await deleteInAuth(database, deleted);
  const open = await sql`select u.id from accounts.users as u where u.closed_at is null`;
  assert.deepEqual(open.map(({ id }) => id), [kept]);
  for (const userId of deleted) {
    assert.deepEqual(await creditsOf(sql, userId), { available: 0, forfeited: 10 });
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("somebody whom only Auth knows is deleted without a trace", async () => {
  await using database = await stillDatabase();
  const { sql, createUser } = database;
  const userId = await createUser();
  await deleteInAuth(database, [userId]);
  for (const table of ["auth.users where id", "accounts.users where id", "queue.tasks where subject"]) {
    assert.equal((await sql.unsafe(`select from ${table} = $1`, [userId])).length, 0, table);
  }
});

Deno.test("one who is suspended, or has closed the account already, is deleted and not closed again", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const [closed, suspended] = [await createGuest(database), await createGuest(database)];
  await closeAccount(sql, closed);
  const before = await traces(sql, closed, []);
  await sql`update accounts.users set is_banned = true where id = ${suspended}`;
  await deleteInAuth(database, [closed, suspended]);
  assert.deepEqual(await traces(sql, closed, []), before);
  assert.deepEqual(await creditsOf(sql, suspended), { available: 0, forfeited: 10 });

  // And the erasure finds nobody to delete in Auth.
  await advance(untilErasable);
  for (const userId of [closed, suspended]) {
    const task = await claimErasure(sql, userId);
    assert(task);
    assert.equal(await eraseAccount(sql, task), "erased");
    const { erased } = await first(
      sql`select e.erased from accounts.erasures as e where e.user_id = ${userId}`,
    );
    assert.equal(erased["auth.users"], 0);
  }
});

Deno.test("one who closes the account while Auth deletes them is closed once, and neither fails", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  for (let round = 0; round < runs(4, 50); round++) {
    const userId = await createGuest(database);
    await start(sql, userId);
    const { answers } = await sql.begin(async (holder) => {
      await holder`select credits.lock_account(${userId})`;
      const asked = [
        () => deleteInAuth(database, [userId]),
        async () => {
          const { data, error } = await closeAccount(sql, userId);
          assert(data !== undefined || error === "ERR_4005", error ?? "");
        },
      ];
      // Each is the first in turn.
      if (round % 2 === 1) asked.reverse();
      const answers = asked.map((ask) => ask());
      let waiting = 0;
      for (let look = 0; look < 1_000 && waiting < 2; look++) {
        ({ waiting } = await first(sql<{ waiting: number }[]>`
          select count(*)::int as waiting from pg_stat_activity as a
          where a.datname = current_database() and a.wait_event_type = 'Lock'`));
      }
      assert.equal(waiting, 2);
      return { answers };
    });
    await Promise.all(answers);
    assert.deepEqual(await creditsOf(sql, userId), { available: 0, forfeited: 10 });
    assert.equal((await sql`select from queue.tasks where subject = ${userId}`).length, 1);
    assert.equal((await sql`select from auth.users where id = ${userId}`).length, 0);
  }
  assert.deepEqual(await violations(sql), []);
});
