/** Several videos in one request: accepted, judged, made and counted, each as if it were asked for by itself. */
import assert from "node:assert/strict";
import { AcceptedVideo, Project } from "../../supabase/functions/_shared/videos/contract.ts";
import { GenerateVideosResponse } from "../../supabase/functions/generate-videos/schema.ts";
import { shared } from "../shared.ts";
import { type Answer, bodyOf, errorOf } from "./support/answer.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { acceptedOf, ended, kling, priceOfKling } from "./support/videos.ts";

const backend = shared(startBackend);

const video = (prompt = "A fox") => ({ model_id: kling, prompt });

function generateVideos(guest: Guest, mode: string, items: unknown[], options: Record<string, unknown> = {}) {
  return guest.call("generate-videos", { body: { mode, items }, key: crypto.randomUUID(), ...options });
}

const resultsOf = (answer: Answer) => bodyOf(answer, 202, GenerateVideosResponse).results;
const idsOf = (answer: Answer) =>
  resultsOf(answer).flatMap((result) => "job_id" in result ? [result.job_id] : []);

Deno.test("all are made, each from its own prompt, once, and paid", async () => {
  const guest = await backend.signIn(3 * priceOfKling);
  const prompts = ["One of all", "Another of all", "The last of all"];
  const answer = await generateVideos(guest, "all", prompts.map(video));
  const { results, ...credits } = bodyOf(answer, 202, GenerateVideosResponse);
  assert.deepEqual(credits, { credits_used: 3 * priceOfKling, credits_remaining: 0 });
  assert.deepEqual(results.map(({ index }) => index), [0, 1, 2]);
  assert.match(answer.headers.get("ratelimit") ?? "", /"video_generation";r=7;/);
  const jobs = await Promise.all(idsOf(answer).map((jobId) => ended(backend, guest, jobId)));
  assert.deepEqual(
    jobs.map(({ status, prompt }) => [status, prompt]),
    prompts.map((prompt) => ["completed", prompt]),
  );
  const report = await backend.stack.simulators.fal.control.report();
  for (const prompt of prompts) assert.equal(acceptedOf(report, prompt).length, 1, prompt);
  await backend.proveLedger();
});

Deno.test("of all, one that is refused refuses the others, says which it is, and costs nothing", async () => {
  const guest = await backend.signIn(3 * priceOfKling);
  const cases: [unknown[], string, Record<string, unknown>][] = [
    [[video(), video(), video(), video()], "ERR_4001", { required: 16, available: 12, index: 3 }],
    [[video(), video("lolicon")], "ERR_4003", { reason: "policy", index: 1 }],
    [[video(), { ...video(), project_id: crypto.randomUUID() }], "ERR_4007", { index: 1 }],
    [[video(), { ...video(), settings: { resolution: "8k" } }, video("lolicon")], "ERR_4008", { index: 1 }],
  ];
  for (const [items, code, details] of cases) {
    const answer = await generateVideos(guest, "all", items);
    assert.partialDeepStrictEqual(errorOf(answer, code).details, details);
  }
  assert.equal(await backend.balanceOf(guest), 3 * priceOfKling);
  const jobs = await backend.database.sql`select from videos.jobs where user_id = ${guest.id}`;
  assert.equal(jobs.length, 0);
});

Deno.test("of any, each has its job or its error in the caller's language, and a retry says the same for nothing", async () => {
  const guest = await backend.signIn(2 * priceOfKling + 1);
  const project = bodyOf(await guest.call("projects", { body: { name: "Bulk" } }), 201, Project);
  const items = [
    { ...video("Judged in bulk"), client_reference: "draft-1", project_id: project.project_id },
    video("lolicon"),
    { ...video(), settings: { resolution: "8k" } },
    video(),
    video(),
  ];
  const key = crypto.randomUUID();
  const call = (language: string) =>
    generateVideos(guest, "any", items, { key, headers: { "accept-language": language } });
  const answer = await call("tr");
  const codes = resultsOf(answer).map((result) => "error" in result ? result.error.code : null);
  assert.deepEqual(codes, [null, "ERR_4003", "ERR_4008", null, "ERR_4001"]);
  assert.partialDeepStrictEqual(resultsOf(answer)[2], {
    error: { details: { fields: [{ path: "items[2].settings.resolution" }] } },
  });
  assert.partialDeepStrictEqual(resultsOf(answer)[4], {
    error: {
      message: "Krediniz yetersiz: bu işlem 4 kredi gerektiriyor, bakiyeniz 1.",
      details: { required: 4, available: 1 },
    },
  });
  const again = await call("en");
  assert.equal(again.headers.get("idempotency-replayed"), "true");
  assert.deepEqual(idsOf(again), idsOf(answer));
  assert.partialDeepStrictEqual(resultsOf(again)[4], {
    error: { message: "You do not have enough credits: this costs 4, and your balance is 1." },
  });
  assert.equal(await backend.balanceOf(guest), 1);
  const [first = ""] = idsOf(answer);
  const { client_reference, project_id } = await ended(backend, guest, first);
  assert.deepEqual([client_reference, project_id], ["draft-1", project.project_id]);
  errorOf(await generateVideos(guest, "any", [video()], { key }), "ERR_4011");
});

Deno.test("the moderation service judges every item, not the first alone", async () => {
  const guest = await backend.signIn(3 * priceOfKling);
  await backend.stack.simulators.openAi.control.rules({ prompt: "Worse in bulk", effect: "flagged" });
  const answer = await generateVideos(guest, "all", [
    video("Fine in bulk"),
    video("Worse in bulk"),
    video("Fine, too"),
  ]);
  const jobs = await Promise.all(idsOf(answer).map((jobId) => ended(backend, guest, jobId)));
  assert.deepEqual(jobs.map(({ status, error }) => error?.code ?? status), [
    "completed",
    "ERR_4003",
    "completed",
  ]);
  assert.equal(await backend.balanceOf(guest), priceOfKling);
  const report = await backend.stack.simulators.fal.control.report();
  assert.equal(acceptedOf(report, "Worse in bulk").length, 0);
});

Deno.test("64 calls at once under one key are one request", async () => {
  const guest = await backend.signIn(10 * priceOfKling);
  const key = crypto.randomUUID();
  const answers = await Promise.all(
    Array.from({ length: 64 }, () => generateVideos(guest, "all", [video(), video()], { key })),
  );
  const accepted = answers.filter(({ status }) => status === 202);
  assert(accepted.length >= 1);
  assert.equal(new Set(accepted.map((answer) => idsOf(answer).join())).size, 1);
  for (const answer of answers.filter(({ status }) => status !== 202)) {
    assert(["ERR_4012", "ERR_4004", "ERR_6001"].includes(errorOf(answer).code), JSON.stringify(answer.body));
  }
  assert.equal(await backend.balanceOf(guest), 8 * priceOfKling);
});

Deno.test("n items count n times: what an hour allows is had at once, and then nothing, by one or by many", async () => {
  const guest = await backend.signIn(100);
  const most = await generateVideos(guest, "all", Array(10).fill(video()));
  assert.equal(idsOf(most).length, 10);
  for (const mode of ["all", "any"]) {
    const { details } = errorOf(await generateVideos(guest, mode, [video()]), "ERR_4004");
    assert.equal(details.policy, "video_generation");
  }
  const single = await guest.call("generate-video", { body: video(), key: crypto.randomUUID() });
  assert.equal(errorOf(single, "ERR_4004").details.policy, "video_generation");

  const other = await backend.signIn(100);
  for (let made = 0; made < 8; made++) {
    bodyOf(
      await other.call("generate-video", { body: video(), key: crypto.randomUUID() }),
      202,
      AcceptedVideo,
    );
  }
  const { details } = errorOf(await generateVideos(other, "all", [video(), video(), video()]), "ERR_4004");
  assert.equal(details.index, 2);
  const some = await generateVideos(other, "any", [video(), video(), video()]);
  assert.deepEqual(resultsOf(some).map((result) => "error" in result ? result.error.code : null), [
    null,
    null,
    "ERR_4004",
  ]);
  errorOf(await generateVideos(other, "any", Array(11).fill(video())), "ERR_4008");
  assert.equal(await backend.balanceOf(other), 100 - 10 * priceOfKling);
});
