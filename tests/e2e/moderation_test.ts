/** Prompts before money and before providers, through the whole backend: by the operator's terms, and by OpenAI's moderation. */
import assert from "node:assert/strict";
import { errorOf } from "./support/answer.ts";
import { startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import {
  beyondDeadline,
  ended,
  eventuallyDone,
  generate,
  kling,
  priceOfKling,
  submissionsOf,
  videoStatus,
} from "./support/videos.ts";
import type { OpenAiRule } from "../../local/simulators/openai/openai.ts";

const backend = shared(startBackend);

/** A guest with the price of one video asks for this one, which meets these rules at OpenAI, in their order. */
async function submit(prompt: string, ...rules: OpenAiRule[]) {
  const { control } = backend.stack.simulators.openAi;
  await control.reset();
  await control.rules(...rules.map((rule) => ({ prompt, ...rule })));
  const guest = await backend.signIn(priceOfKling);
  const { job_id: jobId } = await generate(guest, prompt);
  return { guest, jobId };
}

async function timesJudged(prompt: string): Promise<number> {
  const { requests } = await backend.stack.simulators.openAi.control.report();
  return requests.filter(({ body }) => JSON.stringify(body).includes(prompt)).length;
}

async function timesSubmitted(prompt: string): Promise<number> {
  return submissionsOf(await backend.stack.simulators.fal.control.report(), prompt).length;
}

/** What became of the question, as the task tells it. */
async function untilUnavailable(jobId: string): Promise<string> {
  return await eventuallyDone(backend, "OpenAI could not be asked", async () => {
    const [task] = await backend.database.sql<{ last_error: string | null }[]>`
      select last_error from queue.tasks where kind = 'submit' and subject = ${jobId} and leased_until is null`;
    return task?.last_error ?? undefined;
  });
}

/** Moves the clock, and lets the scheduler and the worker do what is due then. */
async function tickAfter(milliseconds: number): Promise<void> {
  await backend.database.advance(milliseconds);
  await backend.stack.tick();
}

/** How long until a submission is due, in milliseconds; 0 and less where one is. */
async function untilDue(jobId: string): Promise<number> {
  const [next] = await backend.database.sql<{ milliseconds: number }[]>`
    select extract(epoch from t.run_at - core.now())::float8 * 1000 as milliseconds
    from queue.tasks as t where t.kind = 'submit' and t.subject = ${jobId}`;
  assert(next);
  return next.milliseconds;
}

Deno.test("a prompt that OpenAI lets pass is judged once, and made", async () => {
  const prompt = "A fox that may be seen";
  const { guest, jobId } = await submit(prompt);
  assert.equal((await ended(backend, guest, jobId)).status, "completed");
  assert.deepEqual([await timesJudged(prompt), await timesSubmitted(prompt)], [1, 1]);
});

Deno.test("a prompt that OpenAI refuses is made by nobody, and its credits come back", async () => {
  const prompt = "A fox that must not be seen";
  const { guest, jobId } = await submit(prompt, { effect: "flagged", times: null });
  const job = await ended(backend, guest, jobId);
  assert.deepEqual([job.status, job.error?.code, job.error?.details], ["failed", "ERR_4003", {
    reason: "policy",
  }]);
  assert.equal(await timesSubmitted(prompt), 0);
  assert.equal(await backend.balanceOf(guest), priceOfKling);
  await backend.proveLedger();
});

Deno.test("a prompt that a provider turns away is not judged a second time", async () => {
  const prompt = "A fox with patience";
  await backend.stack.simulators.fal.control.rules({ prompt, submit: "rate_limited" });
  const { guest, jobId } = await submit(prompt);
  await eventuallyDone(
    backend,
    "the provider turned it away",
    async () => await timesSubmitted(prompt) === 1 || undefined,
  );
  await backend.database.advance(60_000);
  assert.equal((await ended(backend, guest, jobId)).status, "completed");
  assert.deepEqual([await timesJudged(prompt), await timesSubmitted(prompt)], [1, 2]);
});

for (
  const effect of [
    "down",
    "rate_limited",
    "quota",
    "server_error",
    "gateway",
    "garbage",
    "no_verdict",
  ] as const
) {
  Deno.test(`while OpenAI's answer is ${effect} the job waits, and goes on when there is a verdict`, async () => {
    const prompt = `A fox while it is ${effect}`;
    const { guest, jobId } = await submit(prompt, { effect, times: null });
    await untilUnavailable(jobId);
    assert.equal((await videoStatus(guest, jobId)).status, "pending");
    assert.deepEqual(
      [await timesSubmitted(prompt), await backend.balanceOf(guest)],
      [0, 0],
      "the credits stay held",
    );
    await backend.stack.simulators.openAi.control.reset();
    await tickAfter(60_000);
    assert.equal((await ended(backend, guest, jobId)).status, "completed");
    assert.equal(await timesSubmitted(prompt), 1);
  });
}

Deno.test("OpenAI is not asked again before the time that it names", async () => {
  const prompt = "A fox in a queue";
  const { jobId } = await submit(prompt, { effect: "rate_limited", retryAfterSeconds: 90 });
  await untilUnavailable(jobId);
  await tickAfter(80_000);
  assert(await untilDue(jobId) > 0, "nothing is due");
  assert.equal(await timesJudged(prompt), 1);
  await tickAfter(11_000);
  await eventuallyDone(
    backend,
    "it is asked again",
    async () => await timesJudged(prompt) === 2 || undefined,
  );
});

Deno.test("a job that OpenAI does not judge before its bound fails, and its credits come back", async () => {
  const prompt = "A fox that nobody judges";
  const { guest, jobId } = await submit(prompt, { effect: "down", times: null });
  await untilUnavailable(jobId);
  await tickAfter(beyondDeadline);
  const job = await ended(backend, guest, jobId);
  assert.deepEqual([job.status, job.error?.code], ["failed", "ERR_5002"]);
  assert.equal(await timesSubmitted(prompt), 0);
  assert.equal(await backend.balanceOf(guest), priceOfKling);
  await backend.proveLedger();
});

Deno.test("what the operator's terms refuse costs nothing, asks nobody, and stands in no log", async () => {
  const { sql } = backend.database;
  await sql`
    insert into videos.moderation_terms (language, pattern, reason) values ('all', 'cockatrice', 'a test')`;
  const prompt = "A COCKATRICE named Hortensia";
  const guest = await backend.signIn(priceOfKling);
  const call = { body: { model_id: kling, prompt }, key: "the-same-key" };
  for (const isReplay of [false, true]) {
    const answer = await guest.call("generate-video", call);
    assert.deepEqual(errorOf(answer, "ERR_4003").details, { reason: "policy" });
    assert.equal(answer.headers.get("idempotency-replayed"), isReplay ? "true" : null);
  }
  assert.deepEqual([await timesJudged(prompt), await timesSubmitted(prompt)], [0, 0]);
  assert.equal(await backend.balanceOf(guest), priceOfKling);
  for (const log of Object.values(backend.stack.logs)) {
    assert(!(await Deno.readTextFile(log)).includes("Hortensia"), log);
  }
});

Deno.test("no log has a prompt that OpenAI saw, whatever it said", async () => {
  const prompt = "A fox named Philomena";
  const { guest, jobId } = await submit(prompt, { effect: "garbage" }, { effect: "flagged" });
  await untilUnavailable(jobId);
  await tickAfter(60_000);
  assert.equal((await ended(backend, guest, jobId)).error?.code, "ERR_4003");
  assert.equal(await timesJudged(prompt), 2);
  for (const log of Object.values(backend.stack.logs)) {
    assert(!(await Deno.readTextFile(log)).includes("Philomena"), log);
  }
});
