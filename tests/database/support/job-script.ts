/**
 * What may happen to jobs, one step a call of a procedure, as the functions, the scheduler and the users make them. Whoever
 * runs a script decides the order; what a provider says is drawn, so it may contradict itself.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { TestDatabase } from "../harness.ts";
import { cheapModel } from "./jobs.ts";
import { first } from "./ledger.ts";

/** What a submission is answered, as the provider port names it. */
const outcome = fc.constantFrom(
  ...["accepted", "accepted", "accepted", "accepted", "accepted"] as const,
  ...["refused", "not_accepted", "unknown"] as const,
);
/** What a webhook or the answer to a poll says. */
const word = fc.constantFrom(
  ...[
    "queued",
    "running",
    "succeeded",
    "succeeded",
    "failed",
    "cancelled",
    "not_found",
    "unreachable",
  ] as const,
);
const cancellation = fc.constantFrom(
  ...["cancelled", "requested", "too_late", "not_found", "unreachable"] as const,
);
/** A worker that was given up, and comes back. */
const again = fc.constantFrom(false, false, false, true);
/** Which of those there are, counted round. */
const which = fc.nat({ max: 3 });

/** Long enough for a first try again, for each of the leases, and for half a bound of a job. */
const pauses = [3, 3, 61, 181, 450];

const step = fc.oneof(
  // The same key again is the same job.
  { weight: 2, arbitrary: fc.record({ type: fc.constant("accept" as const), key: fc.nat({ max: 3 }) }) },
  { weight: 5, arbitrary: fc.record({ type: fc.constant("claim" as const), which }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant("answer" as const), which, outcome, again }) },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("webhook" as const),
      which,
      word,
      // Of few, so that they come again; the second id is none that the provider ever gave us.
      event: fc.nat({ max: 2 }),
      names: fc.constantFrom(0, 0, 0, 0, 1),
    }),
  },
  { weight: 6, arbitrary: fc.record({ type: fc.constant("take" as const), limit: fc.constantFrom(1, 10) }) },
  {
    weight: 10,
    arbitrary: fc.record({
      type: fc.constant("work" as const),
      which,
      word,
      cancellation,
      storing: fc.constantFrom("stored", "stored", "unusable", "failed" as const),
      again,
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("cancel" as const), which }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("delete" as const), which }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant("pass" as const), seconds: fc.constantFrom(...pauses) }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("tick" as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("crash" as const) }) },
);
export type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

/** Steps that begin together, in as many connections; then the next ones. */
export const script = fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), {
  // Of fewer steps nothing comes of a job.
  minLength: 12,
  maxLength: 40,
  size: "max",
});

/** What the worker does that is left at the end of a script: "dies" with every task that it has claimed. */
export const lastWorker = fc.constantFrom("stored", "stored", "unusable", "failed", "dies" as const);
type LastWorker = typeof lastWorker extends fc.Arbitrary<infer Value> ? Value : never;

/** A task that is tried five times dies before its job's bound of 15 minutes is over. */
const drainPause = 150;
/** Both bounds of a job, and all tries of a task with its longest lease and pause. */
const longestLife = 2 * 900 + 8 * (180 + 120) + 600;

interface Task {
  task_id: number;
  kind: "submit" | "poll" | "cancel" | "store" | "delete_files";
  subject: string;
  attempt: number;
  payload: { request_id?: string };
  user_id: string;
  submission: { submission_id: string; request_id: string | null } | null;
}

interface Sent {
  submissionId: string;
  provider: string;
}

/** In order of preference. */
const providers = ["fal", "replicate"];

/** One user, their jobs, and whatever acts on them. */
export class JobScript {
  readonly userId = crypto.randomUUID();
  /** The job that `generate_video` has answered each key with. */
  readonly accepted = new Map<string, string>();
  /** What workers have claimed and not given back. */
  #tasks: Task[] = [];
  /** Submissions whose answer is still awaited. */
  #awaited: Sent[] = [];
  /** All of them: a provider may send a webhook at any time. */
  readonly #sent: Sent[] = [];

  constructor(private readonly database: TestDatabase) {}

  /** A user with credits and two jobs, and two providers, without the limits that would end a script early. */
  static async create(database: TestDatabase, credits: number): Promise<JobScript> {
    const { sql } = database;
    const created = new JobScript(database);
    await sql`update guard.policies set max_hits = 300, window_seconds = 1`;
    await sql`
      insert into generation.model_providers (model_id, preference, provider, provider_model, cost_cents)
      values (${cheapModel}, 2, 'replicate', 'a/model', 40) on conflict do nothing`;
    await sql`
      update generation.providers set breaker = 'closed', failures = 0, successes = 0, probe_until = null`;
    await sql`select guard.admit_user(${created.userId})`;
    await sql`select credits.add(${created.userId}, ${credits}, 'purchase', ${`of ${created.userId}`})`;
    await created.#accept("key 0");
    await created.#accept("key 1");
    return created;
  }

  /** Does the step; rejects where a procedure raises, which none may. */
  async perform(step: Step): Promise<void> {
    switch (step.type) {
      case "accept":
        return await this.#accept(`key ${step.key}`);
      case "claim": {
        const jobId = pick([...this.accepted.values()], step.which);
        if (jobId !== undefined) await this.#claim(jobId);
        return;
      }
      case "answer": {
        const sent = pick(this.#awaited, step.which);
        if (sent === undefined) return;
        if (!step.again) this.#awaited = this.#awaited.filter((other) => other !== sent);
        await this.#call("record_submission", {
          p_submission_id: sent.submissionId,
          p_outcome: submitOutcome(sent, step.outcome),
          p_poll_seconds: 2,
        });
        return;
      }
      case "webhook": {
        const sent = pick(this.#sent, step.which);
        if (sent === undefined) return;
        await this.#call("record_provider_event", {
          p_provider: sent.provider,
          p_submission_id: sent.submissionId,
          p_event_id: `${sent.submissionId} ${step.event}`,
          p_request_id: requestIdOf(sent, step.names),
          p_state: providerState(step.word),
        });
        return;
      }
      case "take":
        this.#tasks.unshift(...await this.#call<Task[]>("claim_tasks", { p_limit: step.limit }));
        return;
      case "work": {
        const task = pick(this.#tasks, step.which);
        if (task === undefined) return;
        if (!step.again) this.#tasks = this.#tasks.filter((other) => other !== task);
        return await this.#work(task, step);
      }
      case "cancel":
      case "delete": {
        const jobId = pick([...this.accepted.values()], step.which);
        if (jobId === undefined) return;
        const name = step.type === "cancel" ? "cancel_video" : "delete_video_job";
        await this.#call(name, { p_user_id: this.userId, p_job_id: jobId });
        return;
      }
      case "pass":
        return await this.database.advance(step.seconds * 1000);
      case "tick":
        await this.database.sql`select ops.tick()`;
        return await this.#proveTick();
      case "crash":
        this.#tasks = [];
        this.#awaited = [];
    }
  }

  /**
   * Lets time pass and does what is due, until nothing is left to do. The providers say nothing more: only bounds, leases
   * and tries end what has not ended.
   */
  async drain(last: LastWorker): Promise<void> {
    await this.perform({ type: "crash" });
    for (let seconds = 0; seconds < longestLife && !await this.#isIdle(); seconds += drainPause) {
      await this.perform({ type: "pass", seconds: drainPause });
      await this.perform({ type: "tick" });
      const tasks = await this.#call<Task[]>("claim_tasks", { p_limit: 100 });
      if (last === "dies") continue;
      for (const task of tasks) {
        await this.#work(task, { word: "unreachable", cancellation: "unreachable", storing: last });
      }
    }
  }

  /** Has the providers report, after all, that they made every video, and confirm it when they are asked. */
  async succeedLate(): Promise<void> {
    for (const which of this.#sent.keys()) {
      await this.perform({ type: "webhook", which, word: "succeeded", event: 3, names: 0 });
    }
    for (;;) {
      const tasks = await this.#call<Task[]>("claim_tasks", { p_limit: 100 });
      if (tasks.length === 0) return;
      for (const task of tasks) {
        await this.#work(task, { word: "succeeded", cancellation: "too_late", storing: "stored" });
      }
    }
  }

  async #isIdle(): Promise<boolean> {
    const { idle } = await first(this.database.sql<{ idle: boolean }[]>`
      select not exists (select from generation.tasks as t where t.failed_at is null)
        and not exists (select from public.video_jobs as j where j.completed_at is null) as idle`);
    return idle;
  }

  async #accept(key: string): Promise<void> {
    const accepted = await this.#call<{ job_id: string } | null>("generate_video", {
      p_user_id: this.userId,
      p_network: "192.0.2.1",
      p_idempotency_key: key,
      p_fingerprint: "a".repeat(64),
      p_request_id: "test",
      p_model_id: cheapModel,
      p_prompt: "A fox in the snow",
      p_settings: {},
      p_image_url: null,
    });
    if (accepted === null) return;
    assert.equal(accepted.job_id, this.accepted.get(key) ?? accepted.job_id, "the same key is the same job");
    this.accepted.set(key, accepted.job_id);
  }

  async #claim(jobId: string): Promise<void> {
    const claim = await this.#call<{ claimed: boolean; submission_id: string; provider: string }>(
      "claim_submission",
      { p_job_id: jobId, p_providers: providers },
    );
    if (!claim.claimed) return;
    const sent = { submissionId: claim.submission_id, provider: claim.provider };
    this.#awaited.unshift(sent);
    this.#sent.unshift(sent);
  }

  async #work(
    task: Task,
    says: Pick<Step & { type: "work" }, "word" | "cancellation" | "storing">,
  ): Promise<void> {
    const fence = { p_task_id: task.task_id, p_attempt: task.attempt };
    switch (task.kind) {
      case "submit":
        return await this.#claim(task.subject);
      case "poll": {
        const requestId = task.submission?.request_id ?? task.payload.request_id;
        await (task.submission === null || requestId === undefined
          ? this.#call("retry_task", { ...fence, p_error: "no request" })
          : this.#call("record_poll", {
            ...fence,
            p_submission_id: task.submission.submission_id,
            p_request_id: requestId,
            p_state: providerState(says.word),
            p_interval_seconds: 2,
          }));
        return;
      }
      case "cancel": {
        const outcome = task.submission?.request_id ? says.cancellation : "no_request_id";
        await this.#call("record_cancel", { ...fence, p_job_id: task.subject, p_outcome: { outcome } });
        return;
      }
      case "store":
        return await this.#store(task, says.storing);
      case "delete_files":
        await this.#call("record_files_deleted", { ...fence, p_job_id: task.subject });
    }
  }

  async #store(task: Task, how: (Step & { type: "work" })["storing"]): Promise<void> {
    const fence = { p_task_id: task.task_id, p_attempt: task.attempt };
    switch (how) {
      case "stored":
        await this.#call("record_stored", {
          ...fence,
          p_job_id: task.subject,
          p_assets: [{
            kind: "video",
            path: `${task.user_id}/${task.subject}/video.mp4`,
            bytes: 1,
            content_type: "video/mp4",
            sha256: "0".repeat(64),
          }],
          p_urls: { video_url: "https://example.com/", expires_at: "2099-01-01T00:00:00Z" },
        });
        return;
      case "unusable":
        await this.#call("record_unusable_result", { ...fence, p_job_id: task.subject, p_cause: "no video" });
        return;
      case "failed":
        await this.#call("retry_task", { ...fence, p_error: "storage is away" });
    }
  }

  /** The `data` of a procedure's answer, by named arguments; null for a refusal. */
  async #call<Data>(name: string, args: Record<string, unknown>): Promise<Data> {
    const names = Object.keys(args).map((argument, index) => `${argument} => $${index + 1}`);
    const { sql } = this.database;
    const values = Object.values(args).map((value) =>
      typeof value === "object" && value !== null && value !== providers
        ? sql.json(value as never)
        : value as never
    );
    const [row] = await sql.unsafe(`select public.${name}(${names.join(", ")}) as answer`, values);
    return row?.answer.data ?? null;
  }

  /** The tick notes what its procedures raise instead of raising it. */
  async #proveTick(): Promise<void> {
    const failed = await this.database.sql<{ name: string; last_error: string }[]>`
      select name, last_error from ops.scheduled_tasks where last_error is not null`;
    for (const { name, last_error } of failed) throw new Error(`${name}: ${last_error}`);
  }
}

function pick<T>(values: readonly T[], which: number): T | undefined {
  return values[which % Math.max(1, values.length)];
}

/** The provider's own id for a submission, or one that it never gave us. */
function requestIdOf({ submissionId }: Sent, names = 0): string {
  return `${names === 0 ? "request" : "stranger"} of ${submissionId}`;
}

const failure = { code: "ERR_5002", details: {}, cause: "drawn" };

function submitOutcome(sent: Sent, outcome: "accepted" | "refused" | "not_accepted" | "unknown") {
  switch (outcome) {
    case "accepted":
      return {
        outcome,
        request_id: requestIdOf(sent),
        references: {},
        reports_start: sent.provider === "fal",
      };
    case "refused":
      return { outcome, failure };
    case "not_accepted":
      return { outcome, cause: "drawn", retry_after_seconds: null };
    case "unknown":
      return { outcome, cause: "drawn" };
  }
}

function providerState(state: (Step & { type: "webhook" })["word"]) {
  switch (state) {
    case "running":
      return { state, percent: null };
    case "succeeded":
      return { state, video_url: "https://example.com/video.mp4", thumbnail_url: null };
    case "failed":
      return { state, failure };
    default:
      return { state };
  }
}
