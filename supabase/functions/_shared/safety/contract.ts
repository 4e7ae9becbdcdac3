/** What the domain shows: reports and notices about videos, and what the operator decided. */
import * as z from "zod/mini";
import { exampleIds } from "../endpoint/example-ids.ts";
import { userText } from "../request/user-text.ts";

const timestamp = z.iso.datetime({ precision: 3 });
const count = z.int().check(z.nonnegative());

/** What a video does wrong, in the words of whoever objects, and of the operator who removes it. */
export const grounds = [
  "sexual",
  "minors",
  "violence",
  "hate",
  "harassment",
  "real_person",
  "copyright",
  "illegal",
  "other",
] as const;
export const Ground = z.enum(grounds);

/** Of a job, in a request. */
export const ReportedJobId = z.guid().check(z.toLowerCase());

/** What somebody says about a video. */
export const Statement = userText(2_000, { lines: "several" });

export const Report = z.object({
  report_id: z.uuid(),
  job_id: z.uuid(),
  reason: Ground,
  created_at: timestamp,
});
export type Report = z.infer<typeof Report>;

export const TakedownNotice = z.object({
  notice_id: z.uuid(),
  job_id: z.uuid(),
  received_at: timestamp,
  /** When the operator has decided at the latest; null where that is done. */
  due_at: z.nullable(timestamp),
});
export type TakedownNotice = z.infer<typeof TakedownNotice>;

export const Appeal = z.object({ job_id: z.uuid(), status: z.literal("appealed") });
export type Appeal = z.infer<typeof Appeal>;

export const CaseStatus = z.enum(["open", "kept", "removed", "appealed", "restored"]);

/** All that is said about a video, and what was decided. */
export const SafetyCase = z.object({
  case_id: z.uuid(),
  job_id: z.uuid(),
  status: CaseStatus,
  /** Null once the job is gone. */
  user_id: z.nullable(z.guid()),
  /** Whether there is a prompt that `admin-jobs` has read. */
  has_prompt: z.boolean(),
  /** In the bucket `videos`; null once the file is gone. */
  video_path: z.nullable(z.string()),
  report_count: count,
  notice_count: count,
  /** Why it was removed, as its user is told. */
  ground: z.nullable(Ground),
  /** What its user says against that. */
  appeal: z.nullable(z.string()),
  opened_at: timestamp,
  /** 48 hours after the first notice that is not answered; null without one. */
  due_at: z.nullable(timestamp),
  decided_at: z.nullable(timestamp),
  appealed_at: z.nullable(timestamp),
  appeal_decided_at: z.nullable(timestamp),
  /** The newest 20, as the notices. */
  reports: z.array(z.object({
    user_id: z.guid(),
    reason: Ground,
    details: z.nullable(z.string()),
    created_at: timestamp,
  })),
  notices: z.array(z.object({ contact: z.string(), statement: z.string(), received_at: timestamp })),
});
export type SafetyCase = z.infer<typeof SafetyCase>;

/** A case that a stranger opened, undecided. */
export function exampleCase(): SafetyCase {
  return {
    case_id: exampleIds.case,
    job_id: exampleIds.job,
    status: "open",
    user_id: exampleIds.user,
    has_prompt: true,
    video_path: `0e9c6a51-7b40-4c7d-8d9e-3f1b2a6c5d40/${exampleIds.job}/video.mp4`,
    report_count: 0,
    notice_count: 1,
    ground: null,
    appeal: null,
    opened_at: "2026-11-21T12:30:00.000Z",
    due_at: "2026-11-23T12:30:00.000Z",
    decided_at: null,
    appealed_at: null,
    appeal_decided_at: null,
    reports: [],
    notices: [{
      contact: "ada@example.com",
      statement: "This video shows my face, and I never agreed to it.",
      received_at: "2026-11-21T12:30:00.000Z",
    }],
  };
}
