/**
 * A crash at every step, of which the quick tests run a sample. A clean run tells which calls the functions make to the
 * database, the moderation, the provider and storage; then it is run again for each of them, and their process is killed:
 * once before the call leaves, once when it was answered.
 */
import assert from "node:assert/strict";
import type { FalRule } from "../../local/simulators/fal/fal.ts";
import type { OpenAiRule } from "../../local/simulators/openai/openai.ts";
import { cases } from "../runs.ts";
import { untilErasable } from "../database/support/accounts.ts";
import type { Point } from "./support/port-calls.ts";
import { filesOf, priceOfKling, referenceOf, submissionIs, submissionsOf } from "./support/videos.ts";
import {
  backend,
  call,
  calls,
  generate,
  generateSeveral,
  hasEnded,
  isDone,
  isTrue,
  nextTry,
  restart,
  type Run,
  tick,
  until,
  untilQuiet,
} from "./support/crash-steps.ts";

interface Scenario {
  readonly rule: FalRule;
  /** How OpenAI meets the prompt, where not well. */
  readonly judgement?: OpenAiRule;
  /** What comes before: nobody is killed there. */
  prepare?(run: Run): Promise<void>;
  /** What the user does, until nothing is left to do. */
  play(run: Run): Promise<void>;
  /** How the job may end, where the provider took it and where it did not. */
  readonly ends: { readonly taken: readonly string[]; readonly notTaken: readonly string[] };
  /** Whether the user has deleted the job at the end: what told them of it is gone. */
  readonly deletes?: boolean;
  /** Whether the user is gone at the end, with all that was theirs. */
  readonly closes?: boolean;
}

const stored: Scenario = {
  rule: {},
  async play(run) {
    await generate(run);
    await until("the job ends", () => hasEnded(run));
    await call(run, `delete-video-job?job_id=${run.jobId}`, { method: "DELETE" });
    await tick();
    await until("nothing is left to do", isDone);
  },
  ends: { taken: ["completed"], notTaken: ["failed ERR_5001"] },
  deletes: true,
};

const several: Scenario = {
  rule: {},
  async play(run) {
    await generateSeveral(run);
    await until("the job ends", () => hasEnded(run));
    await tick();
    await until("nothing is left to do", isDone);
  },
  ends: { taken: ["completed"], notTaken: ["failed ERR_5001"] },
};

const cancelled: Scenario = {
  rule: { outcome: "never", webhook: "lost" },
  async play(run) {
    const { sql } = backend.database;
    await generate(run);
    await until("the provider has it", () =>
      isTrue(sql`
      select from videos.submissions where job_id = ${run.jobId} and state not in ('sending', 'not_accepted')`));
    await backend.database.advance(firstPause);
    await tick();
    await until("its start is known", () =>
      isTrue(sql`
      select from videos.jobs where id = ${run.jobId} and (started_at is not null or completed_at is not null)`));
    await call(run, "cancel-video", { body: { job_id: run.jobId } });
    await until("the job ends", () => hasEnded(run));
    await tick();
    await until("nothing is left to do", isDone);
  },
  // By its deadline where the answer to the submission was lost: there is nobody to ask, and no webhook comes.
  ends: { taken: ["cancelled", "failed ERR_5001"], notTaken: ["failed ERR_5001"] },
};

const turnedAway: Scenario = {
  rule: { submit: "rate_limited", retryAfterSeconds: 1 },
  // Which is not asked again at once: while a process pauses, nothing seems to be under way.
  judgement: { effect: "unauthorized" },
  async play(run) {
    const { sql } = backend.database;
    await generate(run);
    await until("nobody has judged it", () =>
      isTrue(sql`
      select from queue.tasks where subject = ${run.jobId} and kind = 'submit' and last_error is not null
      union all
      select from videos.jobs where id = ${run.jobId} and status <> 'pending'`));
    await nextTry(run);
    await until("it is turned away", () =>
      isTrue(sql`
      select from videos.submissions where job_id = ${run.jobId} and state <> 'sending'`));
    await nextTry(run);
    await until("the job ends", () => hasEnded(run));
    await tick();
    await until("nothing is left to do", isDone);
  },
  // By its deadline where the proof that it was not taken was lost: nobody sends it again.
  ends: { taken: ["completed"], notTaken: ["failed ERR_5001"] },
};

const closed: Scenario = {
  rule: { outcome: "never", webhook: "lost" },
  async prepare(run) {
    await generate(run);
    await submissionIs(backend, run.jobId, "accepted");
    const { url, secretKey } = backend.stack;
    // As a worker leaves one that died while it stored.
    const folder = `${await referenceOf(backend, run.guest)}/${run.jobId}`;
    const file = await fetch(`${url}/storage/v1/object/videos/${folder}/video.mp4`, {
      method: "POST",
      headers: { apikey: secretKey, "content-type": "video/mp4" },
      body: new Uint8Array(8),
    });
    assert.equal(file.status, 200, await file.text());
  },
  async play(run) {
    await call(run, "user-profile", { method: "DELETE" });
    await tick();
    await until("the job ends", () => hasEnded(run));
    await backend.database.advance(untilErasable);
    await tick();
    await until("nothing is left to do", isDone);
  },
  ends: { taken: ["cancelled"], notTaken: [] },
  closes: true,
};

/** Of some 30 points of a scenario: a crash costs a start of the functions, and a second. */
const samplePoints = 5;

/** Milliseconds; the longest first pause of a task, and some more. */
const firstPause = 10_000;

for (
  const [name, scenario] of [
    ["a video that is generated, stored and deleted", stored],
    ["a request for two videos, of which one can be paid,", several],
    ["a video that is polled and cancelled", cancelled],
    ["a video that is neither judged nor taken at first", turnedAway],
    ["an account that is closed and erased", closed],
  ] as const
) {
  Deno.test(`${name} survives a crash at every step: nothing is lost, and nothing done twice`, async () => {
    await restart();
    const cold = await record(`${name}, cold`, scenario);
    // What only a new process asks for, such as the provider's keys.
    const warm = await record(`${name}, warm`, scenario);
    const steps = new Set(cold.map(({ call, occurrence }) => `${call} ${occurrence}`));
    assert.equal(cold.length, 2 * steps.size, "each call has a point on both of its sides");
    const points = cases(samplePoints, cold);
    for (const point of points) {
      if (!warm.some((other) => nameOf(other) === nameOf(point))) await restart();
      await crashAt(point, `${name}, ${nameOf(point)}`, scenario);
    }
    console.log(`${points.length} crashes, of ${cold.length} on both sides of ${steps.size} calls`);
  });
}

function nameOf({ call, occurrence, side }: Point): string {
  return `${side} ${call} (${occurrence})`;
}

async function record(prompt: string, scenario: Scenario): Promise<Point[]> {
  await prove(await play(prompt, scenario, null), scenario);
  await untilQuiet();
  return [...calls.points];
}

/** Now and then a worker passes a task over that another transaction holds, and a call is another one's. */
const maxTries = 10;

async function crashAt(point: Point, prompt: string, scenario: Scenario): Promise<void> {
  for (let attempt = 1; attempt <= maxTries; attempt++) {
    await prove(await play(`${prompt}, ${attempt}`, scenario, point), scenario);
    if (calls.hasCrashed) return;
  }
  assert.fail(`never reached: ${nameOf(point)}`);
}

async function play(prompt: string, scenario: Scenario, target: Point | null): Promise<Run> {
  const { fal, openAi } = backend.stack.simulators;
  await Promise.all([fal.control.reset(), openAi.control.reset()]);
  // What others met in a row may have opened the breaker, and all plays together spend more than a day may cost: then nothing
  // is accepted.
  await backend.database.sql`
    update videos.providers
    set breaker = 'closed', opened_at = null, failures = 0, unfinished = 0, daily_cap_cents = null
    where name = 'fal'`;
  await fal.control.rules({ prompt, ...scenario.rule });
  if (scenario.judgement !== undefined) await openAi.control.rules({ prompt, ...scenario.judgement });
  const run: Run = { guest: await backend.signIn(priceOfKling), prompt, jobId: "" };
  await scenario.prepare?.(run);
  await untilQuiet();
  calls.reset(target, restart);
  await scenario.play(run).catch((cause) => {
    throw new Error(`${prompt}: ${calls.points.map(nameOf).join(", ")}`, { cause });
  });
  return run;
}

/** The job has ended as it may, with its credits where they belong, and nothing is left of it that should not be. */
async function prove(
  { guest, prompt }: Run,
  { ends, deletes = false, closes = false }: Scenario,
): Promise<void> {
  const { sql } = backend.database;
  const report = await backend.stack.simulators.fal.control.report();
  const taken = submissionsOf(report, prompt).filter(({ requestId }) => requestId !== null).length;
  assert(taken <= 1, `${prompt}: the provider makes it ${taken} times`);

  const jobs = await sql<{ end: string; spent: number; transfers: string }[]>`
    select concat_ws(' ', j.status, j.error_code) as end, j.credits_used::int as spent, (
      select string_agg(t.kind::text, ' ' order by t.kind)
      from credits.transfers as h
      join credits.transfers as t on t.id = h.id or t.reverses_id = h.id
      where h.job_id = j.id and h.kind = 'hold'
    ) as transfers
    from videos.jobs as j
    where j.user_id = ${guest.id}`;
  const [job, ...others] = jobs;
  assert(job !== undefined && others.length === 0, `${prompt}: ${jobs.length} jobs`);
  const allowed = taken > 0 ? ends.taken : ends.notTaken;
  assert(allowed.includes(job.end), `${prompt}: ${job.end}`);
  const isPaid = job.end === "completed";
  assert.equal(job.transfers, isPaid ? "hold capture" : "hold release", prompt);
  assert.equal(job.spent, isPaid ? priceOfKling : 0, prompt);
  assert.equal(await backend.balanceOf(guest), closes ? 0 : priceOfKling - job.spent, prompt);
  // Told once, and nobody whose account is closed.
  const told = await sql<{ type: string; notifications: number }[]>`
    select l.type, (
      select count(*)::int from notify.notifications as n join events.deliveries as d on d.id = n.id where d.event_id = l.id
    ) as notifications
    from events.log as l
    where l.user_id = ${guest.id} and l.type in ('video.completed', 'video.failed', 'video.cancelled')`;
  const [status = ""] = job.end.split(" ");
  assert.deepEqual(
    told.map((event) => ({ ...event })),
    closes ? [] : [{ type: `video.${status}`, notifications: deletes || status === "cancelled" ? 0 : 1 }],
    prompt,
  );
  const [user] = await sql`
    select exists (select from auth.users as u where u.id = ${guest.id}) as is_there,
      exists (select from accounts.erasures as r where r.user_id = ${guest.id}) as is_erased`;
  assert.deepEqual({ ...user }, { is_there: !closes, is_erased: closes }, prompt);
  const known = await sql<
    { path: string }[]
  >`select a.path from videos.assets as a where a.deleted_at is null`;
  const files = (await filesOf(backend, guest)).filter((file) => !known.some(({ path }) => path === file));
  assert.deepEqual(files, [], `${prompt}: files that nobody knows of`);
  await backend.proveLedger();
}
