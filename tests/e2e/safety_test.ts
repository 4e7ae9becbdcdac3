/** What becomes of a video that somebody objects to, from the notice of a stranger to the appeal, over HTTP. */
import assert from "node:assert/strict";
import { AdministeredUser } from "../../supabase/functions/_shared/ops/contract.ts";
import {
  Appeal,
  Report,
  SafetyCase,
  TakedownNotice,
} from "../../supabase/functions/_shared/safety/contract.ts";
import { GetAdminReportsResponse } from "../../supabase/functions/admin-reports/schema.ts";
import { VideoJobsResponse } from "../../supabase/functions/video-jobs/schema.ts";
import { shared } from "../shared.ts";
import { eventually } from "./eventually.ts";
import { bodyOf, errorOf } from "./support/answer.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { ended, filesOf, generate, priceOfKling, videoStatus } from "./support/videos.ts";

const backend = shared(startBackend);
const { signIn } = { signIn: (credits?: number) => backend.signIn(credits) };
let admin: Guest;
Deno.test.beforeAll(async () => {
  admin = await backend.signInAdmin();
});
// The simulated providers have a few files, so that what one test removes, others would be refused.
Deno.test.afterEach(async () => {
  await backend.database.sql`delete from safety.removed_files`;
  await backend.proveLedger();
});

async function made(guest: Guest): Promise<string> {
  const { job_id } = await generate(guest);
  assert.equal((await ended(backend, guest, job_id)).status, "completed");
  return job_id;
}

const notify = (job_id: string, statement = "It is my face", network = "192.0.2.1") =>
  backend.call("takedown-notices", {
    method: "POST",
    headers: {
      apikey: backend.stack.publishableKey,
      "content-type": "application/json",
      "x-forwarded-for": network,
    },
    body: JSON.stringify({ job_id, contact: "ada@example.com", statement }),
  });

async function caseOf(jobId: string): Promise<SafetyCase> {
  const { cases } = bodyOf(await admin.call("admin-reports?limit=100"), 200, GetAdminReportsResponse);
  return cases.find(({ job_id }) => job_id === jobId) ?? assert.fail("there is no such case");
}

async function decide(jobId: string, decision: string, ground?: string) {
  const { case_id } = await caseOf(jobId);
  const body = {
    case_id,
    decision,
    reason: "As the lawyer says",
    ...(ground === undefined ? {} : { ground }),
  };
  return await admin.call("admin-reports", { method: "PATCH", body });
}

async function untilGone(guest: Guest, count = 0): Promise<void> {
  await eventually("the files are deleted", async () => {
    await backend.stack.tick();
    return (await filesOf(backend, guest)).length === count || undefined;
  });
}

Deno.test("a stranger's notice: seen by the operator, removed, told, appealed, and the same bytes refused again", async () => {
  const guest = await signIn(2 * priceOfKling);
  const jobId = await made(guest);
  const { video_url } = await videoStatus(guest, jobId);
  assert(video_url);
  const { received_at, due_at } = bodyOf(await notify(jobId), 202, TakedownNotice);
  assert.equal(Date.parse(due_at ?? "") - Date.parse(received_at), 48 * 3_600_000);
  assert.equal((await videoStatus(guest, jobId)).video_url, video_url, "nothing is hidden by a notice");
  const { status, notices, user_id, video_path } = await caseOf(jobId);
  assert.deepEqual([status, user_id, notices.map(({ contact }) => contact)], ["open", guest.id, [
    "ada@example.com",
  ]]);
  assert((await filesOf(backend, guest)).includes(video_path ?? ""));

  const removed = bodyOf(await decide(jobId, "remove", "real_person"), 200, SafetyCase);
  assert.deepEqual([removed.status, removed.due_at], ["removed", null]);
  const turkish = await guest.call(`video-status?job_id=${jobId}`, { headers: { "accept-language": "tr" } });
  const told = bodyOf(
    turkish,
    200,
    (await import("../../supabase/functions/video-status/schema.ts")).VideoStatusResponse,
  );
  assert.deepEqual([told.status, told.video_url, told.thumbnail_url, told.error], ["completed", null, null, {
    code: "ERR_4022",
    message: "Bu video kurallara aykırı olduğu için kaldırıldı.",
    details: { reason: "real_person", appeal: "possible" },
  }]);
  const { jobs } = bodyOf(await guest.call("video-jobs"), 200, VideoJobsResponse);
  assert.deepEqual(jobs.map(({ error, video_url }) => [error?.code, video_url]), [["ERR_4022", null]]);
  await untilGone(guest);
  const old = await fetch(video_url);
  await old.body?.cancel();
  assert.notEqual(old.status, 200, "what was handed out before opens nothing");

  // The simulated provider makes the same file.
  const { job_id } = await generate(guest);
  const again = await ended(backend, guest, job_id);
  assert.deepEqual([again.status, again.error?.code, again.error?.details, again.credits_used], [
    "failed",
    "ERR_4022",
    { reason: "real_person", appeal: "none" },
    0,
  ]);
  assert.equal(await backend.balanceOf(guest), priceOfKling);
  await untilGone(guest);

  const statement = "The person in it is me";
  const appealed = await guest.call("appeals", { body: { job_id: jobId, statement } });
  assert.equal(bodyOf(appealed, 202, Appeal).status, "appealed");
  errorOf(await guest.call("appeals", { body: { job_id: jobId, statement: "Please" } }), "ERR_4009");
  assert.equal((await caseOf(jobId)).appeal, statement);
  assert.equal(bodyOf(await decide(jobId, "grant"), 200, SafetyCase).status, "restored");
  assert.equal((await videoStatus(guest, jobId)).error?.details["appeal"], "granted");
  assert.equal(await backend.balanceOf(guest), 2 * priceOfKling, "the file is gone: its credits are back");
  await made(guest);
});

Deno.test("a report hides nothing; what the operator keeps stays as it is, for whoever asks", async () => {
  const [guest, other] = [await signIn(priceOfKling), await signIn()];
  const jobId = await made(guest);
  const body = { job_id: jobId, reason: "violence", details: "Look at it" };
  const first = bodyOf(await other.call("reports", { body }), 202, Report);
  assert.deepEqual(
    bodyOf(await other.call("reports", { body: { ...body, reason: "hate" } }), 202, Report),
    first,
  );
  assert.deepEqual((await caseOf(jobId)).reports.map(({ user_id, details }) => [user_id, details]), [
    [other.id, "Look at it"],
  ]);
  bodyOf(await decide(jobId, "keep"), 200, SafetyCase);
  assert.deepEqual(errorOf(await decide(jobId, "keep"), "ERR_4009").details, { status: "kept" });
  const { error, video_url } = await videoStatus(guest, jobId);
  assert(error === null && video_url !== null);
  errorOf(await other.call("admin-reports"), "ERR_4006");
});

Deno.test("a suspended user is told by every endpoint but those that let them object and leave", async () => {
  const guest = await signIn(priceOfKling);
  const jobId = await made(guest);
  await notify(jobId, "Mine", "192.0.2.2");
  bodyOf(await decide(jobId, "suspend", "copyright"), 200, SafetyCase);
  errorOf(await guest.call("video-jobs"), "ERR_4017");
  bodyOf(await guest.call("appeals", { body: { job_id: jobId, statement: "I drew it" } }), 202, Appeal);
  bodyOf(await decide(jobId, "reject"), 200, SafetyCase);
  const { recent_actions } = bodyOf(
    await admin.call(`admin-users?user_id=${guest.id}`),
    200,
    AdministeredUser,
  );
  assert.deepEqual(recent_actions.map(({ action }) => action).sort(), [
    "ban",
    "reject_appeal",
    "remove_video",
  ]);
});

Deno.test("under a legal hold the files of a closed account stay in storage; without it they go, and the account is erased", async () => {
  const guest = await signIn(priceOfKling);
  await made(guest);
  const hold = (action: string) =>
    admin.call("admin-users", { body: { user_id: guest.id, action, reason: "A court asks for it" } });
  const read = async () => bodyOf(await admin.call(`admin-users?user_id=${guest.id}`), 200, AdministeredUser);
  assert.notEqual(bodyOf(await hold("hold"), 200, AdministeredUser).legal_hold, null);
  const files = await filesOf(backend, guest);
  assert(files.length > 0);
  assert.equal((await guest.call("user-profile", { method: "DELETE" })).status, 202);
  for (let days = 0; days < 3; days++) {
    await backend.database.advance(days === 0 ? 181_000 : 86_400_000);
    await backend.stack.tick();
    await eventually("the worker has been at it", async () => {
      const rows = await backend.database.sql`
        select from queue.tasks as t
        where t.kind = 'erase_account' and t.owner_id = ${guest.id} and t.last_error = 'under a legal hold'
          and t.run_at > core.now()`;
      return rows.length === 1 || undefined;
    });
  }
  assert.deepEqual(await filesOf(backend, guest), files);
  assert.equal((await read()).erasure?.waits_for, "legal_hold");
  bodyOf(await hold("lift_hold"), 200, AdministeredUser);
  await untilGone(guest);
  await eventually("the account is erased", async () => {
    await backend.stack.tick();
    return (await read()).erasure?.erased_at ?? undefined;
  });
});
