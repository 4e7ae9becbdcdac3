/** Does to jobs what a script of steps says, as the functions, the scheduler, the providers and their user would. */
import assert from "node:assert/strict";
import type { TestDatabase } from "../harness.ts";
import { closeAccount, eraseAccount } from "./accounts.ts";
import {
  cancelled,
  claimSubmission,
  claimTasks,
  failed,
  loadTask,
  type ProviderState,
  receiveEvent,
  recordCancel,
  recordPoll,
  recordStored,
  recordSubmission,
  recordUnusableResult,
  retryTask,
  type SubmissionOutcome,
  succeeded,
  type Task,
} from "./generation.ts";
import type { LastWorker, Step } from "./job-steps.ts";
import { cheapModel } from "./jobs.ts";
import { first } from "./ledger.ts";
import { type Answer, createPayer, generateVideo } from "./videos.ts";
import { tick } from "./scheduled-tasks.ts";

interface Sent {
  readonly submissionId: string;
  readonly provider: string;
}

/** What a worker makes of a task; a part of a step. */
type Work = Pick<Step & { type: "work" }, "word" | "cancellation" | "storing">;

/** A task that is tried five times dies before its job's bound of 15 minutes is over. */
const drainPause = 150;
/** Both bounds of a job, all tries of a task with its longest lease and pause, and those of the erasure after it. */
const maxLife = 2 * 900 + 8 * (180 + 120) + 600 + 180 + 10 * drainPause + 5 * 2 ** 9;

/** Who may be asked for the jobs. */
const makers = ["fal", "replicate"];

/** A success of which a script has said nothing yet. */
export const lateEvent = "late";

/** One user, their jobs, and whoever acts on them. */
export class JobScript {
  /** The job that each key was answered with. */
  readonly accepted = new Map<string, string>();
  /** What workers have claimed and not given back. */
  #tasks: Task[] = [];
  /** Submissions whose answer is still awaited. */
  #awaited: Sent[] = [];
  /** All of them: a provider may send a webhook at any time. */
  readonly #sent: Sent[] = [];
  #closings = 0;

  private constructor(private readonly database: TestDatabase, readonly userId: string) {}

  /** The account is closed: what the user asks from now on comes too late. */
  get isClosed(): boolean {
    return this.#closings > 0;
  }

  /** A user with credits and two jobs, and providers that no earlier script has closed. */
  static async create(database: TestDatabase, credits: number): Promise<JobScript> {
    const { sql } = database;
    await sql`update guard.policies set max_hits = 300, window_seconds = 1`;
    await sql`update videos.providers set breaker = 'closed', failures = 0, successes = 0, probe_until = null, busy_until = null`;
    await sql`
      insert into videos.model_providers (model_id, preference, provider, provider_model, cost_cents)
      values (${cheapModel}, 2, 'replicate', 'a/model', 40) on conflict do nothing`;
    const created = new JobScript(database, await createPayer(sql, credits));
    for (const key of [0, 1]) await created.perform({ type: "accept", key });
    return created;
  }

  /** Does the step; rejects where a procedure raises, which none may. */
  async perform(step: Step): Promise<void> {
    const { database, userId } = this;
    const { sql } = database;
    const jobIds = [...this.accepted.values()];
    switch (step.type) {
      case "accept":
        return await this.#accept(`key ${step.key}`);
      case "close": {
        const { data } = await this.#asUser(closeAccount(sql, userId));
        if (data !== undefined) this.#closings++;
        assert(this.#closings <= 1, "an account is closed once");
        return;
      }
      case "claim": {
        const jobId = pick(jobIds, step.which);
        if (jobId !== undefined) await this.#claim(jobId);
        return;
      }
      case "answer": {
        const sent = pick(this.#awaited, step.which);
        if (sent === undefined) return;
        if (!step.again) this.#awaited = this.#awaited.filter((other) => other !== sent);
        await recordSubmission(sql, sent.submissionId, submissionOutcome(sent, step.outcome), makers);
        return;
      }
      case "webhook": {
        const sent = pick(this.#sent, step.which);
        if (sent !== undefined) await this.#receive(sent, step);
        return;
      }
      case "take":
        this.#tasks.unshift(...await claimTasks(sql, step.limit));
        return;
      case "work": {
        const task = pick(this.#tasks, step.which);
        if (task === undefined) return;
        if (!step.again) this.#tasks = this.#tasks.filter((other) => other !== task);
        return await this.#work(task, step);
      }
      case "cancel":
        await this.#asUser(
          first(sql<{ answer: Answer }[]>`
          select api.cancel_video(${userId}, ${pick(jobIds, step.which) ?? null}) as answer`)
            .then(({ answer }) => answer),
        );
        return;
      case "delete":
        await this.#asUser(
          first(sql<{ answer: Answer }[]>`
          select api.delete_video_job(${userId}, ${pick(jobIds, step.which) ?? null}) as answer`)
            .then(({ answer }) => answer),
        );
        return;
      case "pass":
        return await database.advance(step.seconds * 1000);
      case "tick":
        await tick(sql);
        // It notes what its procedures raise; an account that another step holds is passed over until later.
        assert.deepEqual([
          ...await sql`
            select name, last_error from core.scheduled_tasks
            where last_error <> '' and last_error not like '%: 55P03: could not obtain lock on row in relation "accounts"'`,
        ], []);
        return;
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
    for (let seconds = 0; seconds < maxLife && !await this.#isIdle(); seconds += drainPause) {
      await this.perform({ type: "pass", seconds: drainPause });
      await this.perform({ type: "tick" });
      for (const task of await claimTasks(this.database.sql, 100)) {
        if (last === "dies") continue;
        await this.#work(task, { word: "unreachable", cancellation: "no_request_id", storing: last });
      }
    }
  }

  /** Has every provider say, after all, that it made its video. */
  async succeedLate(): Promise<void> {
    for (const sent of this.#sent) {
      await this.#receive(sent, { word: "succeeded", event: lateEvent, names: 0 });
    }
  }

  async #isIdle(): Promise<boolean> {
    const { idle } = await first(this.database.sql<{ idle: boolean }[]>`
      select not exists (select from queue.tasks as t where t.failed_at is null)
        and not exists (select from videos.jobs as j where j.completed_at is null) as idle`);
    return idle;
  }

  /** An answer to the user, which they get only while the account is open. */
  async #asUser<Given extends { error?: string }>(asked: Promise<Given>): Promise<Given> {
    const isTooLate = this.isClosed;
    const answer = await asked;
    if (isTooLate) assert.equal(answer.error, "ERR_4005");
    return answer;
  }

  async #accept(key: string): Promise<void> {
    const { data } = await this.#asUser(generateVideo(this.database.sql, this.userId, { key }));
    if (data === undefined) return;
    assert.equal(data.job_id, this.accepted.get(key) ?? data.job_id, "the same key is the same job");
    this.accepted.set(key, data.job_id);
  }

  async #claim(jobId: string): Promise<void> {
    const { sql } = this.database;
    const submissionId = await claimSubmission(sql, jobId, ["fal", "replicate"]);
    if (submissionId === null) return;
    const { provider } = await first(sql<{ provider: string }[]>`
      select s.provider from videos.submissions as s where s.id = ${submissionId}`);
    this.#awaited.unshift({ submissionId, provider });
    this.#sent.unshift({ submissionId, provider });
  }

  async #receive(
    { submissionId, provider }: Sent,
    { word, event, names }: { word: Work["word"]; event: number | string; names: number },
  ): Promise<void> {
    const requestId = names === 0 ? requestIdOf(submissionId) : "an id that we were never given";
    const eventId = `${event} of ${submissionId}`;
    await receiveEvent(
      this.database.sql,
      { submissionId, requestId },
      providerState(word),
      eventId,
      provider,
    );
  }

  async #work(task: Task, { word, cancellation, storing }: Work): Promise<void> {
    const { sql } = this.database;
    switch (task.kind) {
      case "submit":
        return await this.#claim(task.subject);
      case "poll": {
        const { submission } = await loadTask(sql, task);
        const requestId = submission?.request_id ?? task.payload.request_id;
        await (submission === null || typeof requestId !== "string" ? retryTask(sql, task) : recordPoll(
          sql,
          { submissionId: submission.submission_id, requestId },
          providerState(word),
          task,
        ));
        return;
      }
      case "cancel": {
        const outcome = (await loadTask(sql, task)).submission?.request_id ? cancellation : "no_request_id";
        await recordCancel(sql, task.subject, outcome, task);
        return;
      }
      case "store":
        await (storing === "stored"
          ? recordStored(sql, task.subject, task)
          : storing === "unusable"
          ? recordUnusableResult(sql, task.subject, task)
          : retryTask(sql, task));
        return;
      case "delete_files":
        await sql`select api.record_files_deleted(${task.task_id}, ${task.attempt}, ${task.subject})`;
        return;
      case "erase_account":
        await (storing === "failed" ? retryTask(sql, task) : eraseAccount(sql, task));
        return;
      case "deliver_inbox":
        await sql`select api.deliver_inbox(${task.task_id}, ${task.attempt}, ${task.subject})`;
        return;
      default:
        throw new Error(`The script does not know the task ${task.kind}`);
    }
  }
}

function pick<T>(values: readonly T[], which: number): T | undefined {
  return values[which % values.length];
}

/** The provider's own. */
function requestIdOf(submissionId: string): string {
  return `request of ${submissionId}`;
}

function submissionOutcome(
  { submissionId, provider }: Sent,
  outcome: (Step & { type: "answer" })["outcome"],
): SubmissionOutcome {
  switch (outcome) {
    case "accepted":
      return { outcome, request_id: requestIdOf(submissionId), reports_start: provider === "fal" };
    case "refused":
      return { outcome, failure: { code: "ERR_5003", cause: "drawn" } };
    case "not_accepted":
    case "unknown":
      return { outcome, cause: "drawn" };
  }
}

function providerState(state: Work["word"]): ProviderState {
  switch (state) {
    case "running":
      return { state };
    case "succeeded":
      return succeeded;
    case "failed":
      return failed;
    case "cancelled":
      return cancelled;
    default:
      return { state };
  }
}
