/**
 * A crash at every step of a picture's way, of which the quick tests run a sample: one is uploaded, completed, made into a video
 * and deleted; another is fetched from its address. As in crash_test.ts, the functions are killed before and after each of
 * their calls.
 */
import assert from "node:assert/strict";
import { AcceptedVideo, Upload } from "../../supabase/functions/_shared/videos/contract.ts";
import { PostUploadsResponse } from "../../supabase/functions/uploads/schema.ts";
import { bodyOf } from "./support/answer.ts";
import {
  backend,
  call,
  calls,
  hasEnded,
  isTrue,
  restart,
  type Run,
  tick,
  until,
  untilQuiet,
} from "./support/crash-steps.ts";
import { assertSurvivesCrashes, procedure } from "./support/crash-points.ts";
import type { Point } from "./support/port-calls.ts";
import { fixture, modelFromPicture, sendFile } from "./support/uploads.ts";
import { filesOf, submissionsOf } from "./support/videos.ts";

/** Until nothing can come to an upload's URL any more. */
const untilClosed = 2.2 * 3_600_000;
const balance = 1_000;

interface Scenario {
  /** What the user does, until its video has ended. */
  play(run: Run): Promise<void>;
  /** Calls that are steps of it. */
  readonly steps: readonly string[];
}

async function animate(run: Run, picture: object): Promise<void> {
  const body = { model_id: await modelFromPicture(backend), prompt: run.prompt, ...picture };
  const answer = await call(run, "generate-video", { body, key: run.guest.id });
  run.jobId = bodyOf(answer, 202, AcceptedVideo).job_id;
  if ("image_url" in picture) {
    // The worker fetches it, which is due in two seconds.
    await backend.database.advance(2_500);
    await tick();
  }
  await until("the job ends", () => hasEnded(run));
}

const uploaded: Scenario = {
  async play(run) {
    const file = await fixture("phone.jpg");
    const body = { content_type: "image/jpeg", bytes: file.length };
    // Whoever gets no answer begins another; the first is given up when its URL expires.
    const begun = bodyOf(await call(run, "uploads", { body }), 201, PostUploadsResponse);
    assert.equal((await sendFile(run.guest, begun, file)).error, null);
    const { upload_id } = begun;
    const completed = await call(run, "uploads", {
      method: "PATCH",
      body: { upload_id, status: "completed" },
    });
    bodyOf(completed, 200, Upload);
    await animate(run, { image_upload_id: upload_id });
    const deleted = await call(run, `uploads?upload_id=${upload_id}`, { method: "DELETE" });
    assert(deleted.status === 204 || (calls.hasCrashed && deleted.status === 404), "it is gone");
  },
  steps: [
    ...["post_uploads", "load_upload", "patch_uploads", "delete_uploads", "load_upload_files"],
    ...["record_upload_tidied", "claim_submission", "record_submission"],
  ],
};

const fetched: Scenario = {
  play: (run) => animate(run, { image_url: `https://${run.guest.id}.example.com/fox.jpg` }),
  steps: [
    "claim_submission",
    "record_image",
    "record_submission",
    "load_upload_files",
    "record_upload_tidied",
  ],
};

for (
  const [name, scenario] of [
    ["a picture that is uploaded, made into a video and deleted", uploaded],
    ["a picture that is fetched from its address", fetched],
  ] as const
) {
  Deno.test(`${name} survives a crash at every step: one copy or none, one video at most`, () =>
    assertSurvivesCrashes(
      (target, time) => play(`${name}, ${time}`, scenario, target),
      prove,
      scenario.steps.map(procedure),
    ));
}

async function play(prompt: string, scenario: Scenario, target: Point | null): Promise<Run> {
  const { fal, openAi, web } = backend.stack.simulators;
  await Promise.all([fal, openAi, web].map(({ control }) => control.reset()));
  const run: Run = { guest: await backend.signIn(balance), prompt, jobId: "" };
  await untilQuiet();
  calls.reset(target, restart);
  await scenario.play(run);
  await backend.database.advance(untilClosed);
  await tick();
  await until(
    "nothing is left to do",
    () => isTrue(backend.database.sql`select where not exists (select from queue.tasks)`),
  );
  await untilQuiet();
  return run;
}

/** One video at most, paid where it is there, made from our copy; and of the picture nothing is left. */
async function prove({ guest, prompt, jobId }: Run): Promise<void> {
  const { sql } = backend.database;
  const sent = submissionsOf(await backend.stack.simulators.fal.control.report(), prompt);
  assert(sent.filter(({ requestId }) => requestId !== null).length <= 1, `${prompt}: it is made twice`);
  for (const { body } of sent) {
    assert.match(String(Object(body).image_url), /\/storage\/v1\/object\/sign\/uploads\//, prompt);
  }
  const [job] = await sql<{ end: string; spent: number }[]>`
    select concat_ws(' ', j.status, j.error_code) as end, j.credits_used::int as spent from videos.jobs as j
    where j.id = ${jobId}`;
  // By its deadline where the answer to the submission was lost.
  assert(["completed", "failed ERR_5001"].includes(job?.end ?? ""), `${prompt}: ${job?.end}`);
  assert.equal(await backend.balanceOf(guest), balance - (job?.spent ?? 0), prompt);
  assert.equal(job?.end === "completed", (job?.spent ?? 0) > 0, prompt);
  const uploads = await sql`select from videos.uploads as u where u.owner_id = ${guest.id}`;
  assert.equal(uploads.length, 0, `${prompt}: an upload is left`);
  const known = await sql<{ path: string }[]>`
    select a.path from videos.assets as a where a.job_id = ${jobId} and a.deleted_at is null`;
  const files = (await filesOf(backend, guest)).filter((file) => !known.some(({ path }) => path === file));
  assert.deepEqual(files, [], `${prompt}: files that nobody knows of`);
  await backend.proveLedger();
}
