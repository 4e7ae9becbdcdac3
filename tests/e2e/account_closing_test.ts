/** Closing an account, as its user does it, and what becomes of all that was theirs. */
import assert from "node:assert/strict";
import { ClosedAccount } from "../../supabase/functions/_shared/accounts/contract.ts";
import { deviceToken } from "../../local/simulators/device-check/device-check.ts";
import { creditsOf, tablesWith, untilErasable } from "../database/support/accounts.ts";
import { eventually } from "./eventually.ts";
import { assertError, bodyOf } from "./support/answer.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import {
  ended,
  eventuallyDone,
  filesOf,
  generate,
  kling,
  priceOfKling,
  submissionIs,
} from "./support/videos.ts";

const backend = shared(startBackend);

Deno.test.afterEach(() => backend.proveLedger());

const close = (guest: Guest) => guest.call("user-profile", { method: "DELETE" });

/** Lets the scheduler come by until it is so. */
async function untilTrue(what: string, condition: () => Promise<boolean>): Promise<void> {
  await eventually(what, async () => {
    await backend.stack.tick();
    return await condition() || undefined;
  });
}

async function statusesOf({ id }: Guest): Promise<Record<string, string>> {
  const jobs = await backend.database.sql<{ id: string; status: string }[]>`
    select j.id, j.status from videos.jobs as j where j.user_id = ${id}`;
  return Object.fromEntries(jobs.map(({ id, status }) => [id, status]));
}

const isStoring = (jobId: string) => async () => {
  const rows = await backend.database.sql`
    select from videos.jobs where id = ${jobId} and storing_at is not null`;
  return rows.length > 0;
};

async function isErased({ id }: Guest): Promise<boolean> {
  return (await backend.database.sql`select from accounts.erasures where user_id = ${id}`).length > 0;
}

Deno.test("whatever an account's jobs are at, they end as cancelled, and in the end nothing of the person is left", async () => {
  const { database, stack } = backend;
  const { control } = stack.simulators.fal;
  await control.reset();
  await control.rules({ prompt: "canary pending", submit: "rate_limited", times: null });
  await control.rules({ prompt: "canary running", outcome: "never" });
  await control.rules({ prompt: "canary storing", media: "truncated", times: null });
  const guest = await backend.signIn(4 * priceOfKling + 1);
  await guest.call("user-profile", { method: "PATCH", body: { display_name: "canary name" } });
  const { job_id: completed } = await generate(guest, "canary completed");
  const { video_url: url } = await ended(backend, guest, completed);
  const [pending, running, storing] = await Promise.all(
    ["canary pending", "canary running", "canary storing"].map(async (prompt) =>
      (await generate(guest, prompt)).job_id
    ),
  );
  assert(url && pending && running && storing);
  await submissionIs(backend, pending, "not_accepted");
  await submissionIs(backend, running, "accepted");
  await untilTrue("the third is being stored", isStoring(storing));

  const closed = bodyOf(await close(guest), 202, ClosedAccount);
  assert.equal(closed.user_id, guest.id);
  assert.deepEqual(await statusesOf(guest), {
    [completed]: "completed",
    [pending]: "cancelled",
    [running]: "processing",
    [storing]: "cancelled",
  });
  for (
    const [path, options] of [
      ["user-profile", { method: "DELETE" }],
      ["user-profile", {}],
      [`video-status?job_id=${completed}`, {}],
      ["generate-video", { body: { model_id: kling, prompt: "another" }, key: "another" }],
      ["device-check", { body: { device_token: deviceToken("a new phone") } }],
    ] as const
  ) {
    assertError(await guest.call(path, options), "ERR_4005", path);
  }
  const { data, error } = await guest.supabase.auth.refreshSession();
  assert.deepEqual([data.session, error?.code], [null, "refresh_token_not_found"]);

  await untilTrue(
    "the last job has ended",
    async () => (await statusesOf(guest))[running] === "cancelled",
  );
  const { requests } = await control.report();
  assert.equal(requests.filter(({ method }) => method === "PUT").length, 1, "the provider was asked to stop");
  assert.deepEqual(await creditsOf(database.sql, guest.id), {
    available: 0,
    forfeited: 3 * priceOfKling + 1,
  });

  assert.equal(await isErased(guest), false);
  await database.advance(untilErasable);
  await untilTrue("the account is erased", () => isErased(guest));
  assert.deepEqual(await tablesWith(database, "canary"), []);
  assert.deepEqual(await filesOf(backend, guest), []);
  const file = await fetch(url);
  await file.body?.cancel();
  assert.notEqual(file.status, 200);
  const user = await guest.supabase.auth.getUser(guest.token);
  assert.equal(user.error?.code, "user_not_found");
  const [proof] = await database.sql`
    select erased, closed_at = ${closed.closed_at} as is_same_time from accounts.erasures where user_id = ${guest.id}`;
  const { "queue.tasks": _tasks, "guard.hits": _hits, ...erased } = proof?.erased ?? {};
  assert.deepEqual(erased, {
    "accounts.users": 1,
    "auth.users": 1,
    "events.deliveries": 1,
    "events.log": erased["events.log"],
    "guard.idempotency_keys": 4,
    "notify.notifications": 1,
    "videos.assets": 1,
    "videos.jobs": 4,
    "videos.provider_events": erased["videos.provider_events"],
    "videos.submissions": erased["videos.submissions"],
  });
  // The token lives on; the tombstone does not.
  const check = await guest.call("device-check", { body: { device_token: deviceToken("a new phone") } });
  assertError(check, "ERR_4005", "after the erasure");
});

Deno.test("a video that comes after the closing is not stored, and not paid", async () => {
  const { control } = backend.stack.simulators.fal;
  await control.reset();
  await control.rules({ prompt: "comes late", cancel: "ignored", runMilliseconds: 60_000 });
  const guest = await backend.signIn(priceOfKling);
  const { job_id: jobId } = await generate(guest, "comes late");
  await submissionIs(backend, jobId, "accepted");
  bodyOf(await close(guest), 202, ClosedAccount);
  await backend.stack.tick();
  await control.elapse(60_000);
  await eventuallyDone(backend, "its webhook has come", async () => {
    const events = await backend.database.sql`
      select e.state from videos.provider_events as e join videos.submissions as s on s.id = e.submission_id
      where s.job_id = ${jobId} and e.state = '{"state": "succeeded"}'`;
    return events.length > 0 || undefined;
  });
  await untilTrue("the job has ended", async () => (await statusesOf(guest))[jobId] === "cancelled");
  const [job] = await backend.database.sql`
    select late_success_at is not null as is_late, credits_used::int, storing_at, video_url
    from videos.jobs where id = ${jobId}`;
  assert.deepEqual({ ...job }, { is_late: true, credits_used: 0, storing_at: null, video_url: null });
  assert.equal(
    (await filesOf(backend, guest)).length,
    0,
  );
});

Deno.test("of two closings at once one is accepted, and the other finds the account closed", async () => {
  const guest = await backend.signIn(1);
  const answers = await Promise.all([close(guest), close(guest)]);
  const [accepted, refused] = answers.sort((one, other) => one.status - other.status);
  assert(accepted && refused);
  bodyOf(accepted, 202, ClosedAccount);
  assertError(refused, "ERR_4005", "the other");
  const tasks = await backend.database.sql`select from queue.tasks where subject = ${guest.id}`;
  assert.equal(tasks.length, 1);
});

Deno.test("videos that are asked for while the account closes come before it or not at all", async () => {
  const { sql } = backend.database;
  const { control } = backend.stack.simulators.fal;
  await control.reset();
  await control.rules({ prompt: "in a race", outcome: "never", times: null });
  for (let round = 0; round < 5; round++) {
    const credits = 8 * priceOfKling;
    const guest = await backend.signIn(credits);
    const asked = Array.from({ length: 8 }, () =>
      guest.call("generate-video", {
        body: { model_id: kling, prompt: "in a race" },
        key: crypto.randomUUID(),
      }));
    const closed = await close(guest);
    const answers = await Promise.all(asked);
    assert.equal(closed.status, 202);
    for (const answer of answers) if (answer.status !== 202) assertError(answer, "ERR_4005", "too late");
    const jobs = await sql<{ in_time: boolean }[]>`
      select j.created_at <= u.closed_at as in_time
      from videos.jobs as j join accounts.users as u on u.id = j.user_id where u.id = ${guest.id}`;
    assert.equal(jobs.length, answers.filter(({ status }) => status === 202).length);
    assert(jobs.every(({ in_time }) => in_time));
    await untilTrue("all have ended", async () => {
      await backend.database.advance(61_000);
      return Object.values(await statusesOf(guest)).every((status) => status === "cancelled");
    });
    assert.deepEqual(await creditsOf(sql, guest.id), { available: 0, forfeited: credits });
  }
});
