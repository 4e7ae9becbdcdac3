/** Every way in which a job ends that a provider has, or whose video is being stored. */
import {
  claimTask,
  failed,
  receiveEvent,
  recordCancel,
  recordPoll,
  recordStored,
  recordUnusableResult,
  retryTask,
  type Submission,
} from "./generation.ts";
import { settle } from "./jobs.ts";
import type { Sql } from "./ledger.ts";
import { runTask } from "./scheduled-tasks.ts";

/** A way to end a job, and the status and code that it ends with when it comes first. */
export interface Ending {
  status: string;
  code: string | null;
  end(sql: Sql, jobId: string, submission: Submission): Promise<unknown>;
}

const accountIsClosed: Ending = {
  status: "cancelled",
  code: null,
  end: (sql, jobId) => settle(sql, jobId, "cancelled"),
};

/** Of a job that a provider has. */
export const running: Record<string, Ending> = {
  "the provider's webhook says failed": {
    status: "failed",
    code: "ERR_5003",
    end: (sql, _, submission) => receiveEvent(sql, submission, failed),
  },
  "a poll says failed": {
    status: "failed",
    code: "ERR_5003",
    end: (sql, _, submission) => recordPoll(sql, submission, failed),
  },
  "the provider knows it no more": {
    status: "failed",
    code: "ERR_5002",
    async end(sql, _, submission) {
      await recordPoll(sql, submission, { state: "not_found" });
      await sql`
        update videos.submissions set missing_since = missing_since - interval '2 minutes'
        where id = ${submission.submissionId}`;
      await recordPoll(sql, submission, { state: "not_found" });
    },
  },
  "the provider cancels it on its own account": {
    status: "failed",
    code: "ERR_5002",
    end: (sql, _, submission) => receiveEvent(sql, submission, { state: "cancelled" }),
  },
  "the provider confirms a cancellation": {
    status: "cancelled",
    code: null,
    end: (sql, jobId) => recordCancel(sql, jobId, "cancelled"),
  },
  "the account is closed": accountIsClosed,
  "its deadline passes and nobody cancels": {
    status: "failed",
    code: "ERR_5001",
    async end(sql, jobId) {
      await sql`update videos.jobs set due_at = core.now() - interval '6 minutes' where id = ${jobId} and due_at is not null`;
      await runTask(sql, "enforce_deadlines");
    },
  },
};

/** Of a job whose video is being stored. */
export const storing: Record<string, Ending> = {
  "it is stored": { status: "completed", code: null, end: (sql, jobId) => recordStored(sql, jobId) },
  "the result is no video": {
    status: "failed",
    code: "ERR_5003",
    async end(sql, jobId) {
      const task = await claimTask(sql, jobId, "store").catch(() => null);
      if (task !== null) await recordUnusableResult(sql, jobId, task);
    },
  },
  "storing fails for the last time": {
    status: "failed",
    code: "ERR_6002",
    async end(sql, jobId) {
      await sql`update queue.tasks set attempts = 7, run_at = core.now() where subject = ${jobId} and kind = 'store'`;
      const task = await claimTask(sql, jobId, "store").catch(() => null);
      if (task !== null) await retryTask(sql, task);
    },
  },
  "the account is closed": accountIsClosed,
};
