/** The ways in which a submission ends, and what of its cost a day's spending then counts. */
import assert from "node:assert/strict";
import type { TestDatabase } from "../harness.ts";
import {
  cancelled,
  claimSubmission,
  claimTask,
  failed,
  receiveEvent,
  recordCancel,
  recordPoll,
  recordStored,
  recordSubmission,
  recordUnusableResult,
  submit,
  succeeded,
} from "./generation.ts";
import { settle } from "./jobs.ts";
import { type Sql } from "./ledger.ts";

/** Of the model that startVideo asks for, in US cents. */
export const cost = 35;

/** What fal's days count, in their order. */
export async function spent(sql: Sql): Promise<number[]> {
  const days = await sql<{ cents: number }[]>`
    select s.cents::int as cents from videos.spending as s where s.provider = 'fal' order by s.day`;
  return days.map(({ cents }) => cents);
}

export async function minutes(database: TestDatabase, count: number): Promise<void> {
  await database.advance(count * 60_000);
}

export const free = { ...failed, is_unbilled: true } as const;

/** Each way in which a submission ends, and what of its cost then counts. */
export const endings: Record<
  string,
  [counted: number, end: (sql: Sql, jobId: string, database: TestDatabase) => Promise<unknown>]
> = {
  "refused when it was submitted": [0, async (sql, jobId) => {
    const submissionId = await claimSubmission(sql, jobId) ?? "";
    await recordSubmission(sql, submissionId, {
      outcome: "refused",
      failure: { code: "ERR_4003", cause: "drawn" },
    });
  }],
  "not accepted": [0, async (sql, jobId) => {
    const submissionId = await claimSubmission(sql, jobId) ?? "";
    await recordSubmission(sql, submissionId, { outcome: "not_accepted", cause: "drawn" });
  }],
  "not accepted, as it turns out after it was given up": [0, async (sql, jobId) => {
    const submissionId = await claimSubmission(sql, jobId) ?? "";
    await recordSubmission(sql, submissionId, { outcome: "unknown", cause: "drawn" });
    await recordSubmission(sql, submissionId, { outcome: "not_accepted", cause: "drawn" });
  }],
  "stored, and not what was ordered": [cost, async (sql, jobId) => {
    await receiveEvent(sql, await submit(sql, jobId), succeeded);
    await recordStored(sql, jobId, await claimTask(sql, jobId, "store"), { codec: "av01" });
  }],
  "cancelled by the provider's word in a webhook": [0, async (sql, jobId) => {
    await receiveEvent(sql, await submit(sql, jobId), cancelled);
  }],
  "cancelled by the provider's word in a poll": [0, async (sql, jobId) => {
    await recordPoll(sql, await submit(sql, jobId), cancelled);
  }],
  "cancelled before it began, as the user asked": [0, async (sql, jobId) => {
    await submit(sql, jobId);
    await recordCancel(sql, jobId, "cancelled");
  }],
  "cancelled before it began, at its deadline": [0, async (sql, jobId, database) => {
    await submit(sql, jobId);
    await minutes(database, 16);
    assert.equal(await recordCancel(sql, jobId, "cancelled"), "failed");
  }],
  "cancelled, for an account that was closed": [0, async (sql, jobId) => {
    const submission = await submit(sql, jobId);
    await sql`select accounts.close(j.user_id) from videos.jobs as j where j.id = ${jobId}`;
    await receiveEvent(sql, submission, cancelled);
  }],
  "failed without a bill": [0, async (sql, jobId) => {
    await receiveEvent(sql, await submit(sql, jobId), free);
  }],
  "failed without a bill, after its deadline": [0, async (sql, jobId) => {
    const submission = await submit(sql, jobId);
    await settle(sql, jobId, "failed");
    await receiveEvent(sql, submission, free);
  }],
  "cancelled, perhaps with a bill": [cost, async (sql, jobId) => {
    await receiveEvent(sql, await submit(sql, jobId), { state: "cancelled" });
  }],
  "cancelled as the user asked, perhaps with a bill": [cost, async (sql, jobId) => {
    await submit(sql, jobId);
    assert.equal(await recordCancel(sql, jobId, "cancelled", undefined, {}), "cancelled");
  }],
  "failed, perhaps with a bill": [cost, async (sql, jobId) => {
    await receiveEvent(sql, await submit(sql, jobId), failed);
  }],
  "unknown to its provider": [cost, async (sql, jobId) => {
    await recordPoll(sql, await submit(sql, jobId), { state: "not_found" });
  }],
  "unknown, and ended by its deadline": [cost, async (sql, jobId, database) => {
    const submissionId = await claimSubmission(sql, jobId) ?? "";
    await recordSubmission(sql, submissionId, { outcome: "unknown", cause: "drawn" });
    await minutes(database, 16);
    assert.equal(await recordCancel(sql, jobId, "no_request_id"), "failed");
  }],
  "accepted, and ended by its deadline while it ran": [cost, async (sql, jobId, database) => {
    await submit(sql, jobId);
    await minutes(database, 16);
    assert.equal(await recordCancel(sql, jobId, "requested"), "failed");
  }],
  "a video": [cost, async (sql, jobId) => {
    await receiveEvent(sql, await submit(sql, jobId), succeeded);
    assert.equal(await recordStored(sql, jobId), "completed");
  }],
  "a video that cannot be used": [cost, async (sql, jobId) => {
    await receiveEvent(sql, await submit(sql, jobId), succeeded);
    await recordUnusableResult(sql, jobId, await claimTask(sql, jobId, "store"));
  }],
  "a video that is stored for nobody": [cost, async (sql, jobId) => {
    const submission = await submit(sql, jobId);
    await sql`select accounts.close(j.user_id) from videos.jobs as j where j.id = ${jobId}`;
    await receiveEvent(sql, submission, succeeded);
  }],
};
