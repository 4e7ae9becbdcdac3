/** A generation at a simulated provider: what every provider remembers of it, and how far it is at a time. */
import * as z from "zod";
import type { ActiveProviderRule } from "./rules.ts";

/** Times are in milliseconds since 1970. */
export const providerJob = z.object({
  requestId: z.string(),
  /** The provider's name of it. */
  model: z.string(),
  input: z.unknown().optional(),
  webhookUrl: z.string().nullable(),
  submittedAt: z.number(),
  startsAt: z.number(),
  /** Null for one that never ends. */
  endsAt: z.number().nullable(),
  cancelled: z.boolean(),
  forgotten: z.boolean(),
  pollFailuresLeft: z.number(),
  mediaFailuresLeft: z.number().default(0),
});
export type ProviderJob = z.infer<typeof providerJob>;

/** How long a generation waits and runs where no rule says otherwise. */
export interface ProviderTimes {
  readonly queueMilliseconds: number;
  readonly runMilliseconds: number;
}

/** A generation that is accepted now. */
export function beginJob(
  job: Pick<ProviderJob, "requestId" | "model" | "input" | "webhookUrl">,
  rule: ActiveProviderRule & { readonly webhook?: string | undefined },
  times: ProviderTimes,
): ProviderJob {
  const now = Date.now();
  const isEarly = rule.webhook === "early";
  const startsAt = isEarly ? now : now + (rule.queueMilliseconds ?? times.queueMilliseconds);
  const endsAt = isEarly ? now : startsAt + (rule.runMilliseconds ?? times.runMilliseconds);
  return {
    ...job,
    submittedAt: now,
    startsAt,
    endsAt: rule.outcome === "never" ? null : endsAt,
    cancelled: false,
    forgotten: false,
    pollFailuresLeft: rule.pollFailures,
    mediaFailuresLeft: rule.mediaFailures,
  };
}

export type Phase = "queued" | "running" | "ended";

/** How far a generation is at `now`. */
export function phaseOf(job: ProviderJob, now: number): Phase {
  if (job.endsAt !== null && now >= job.endsAt) return "ended";
  return now < job.startsAt ? "queued" : "running";
}

/** Lets time pass for generations that are under way. */
export function elapseJobs(jobs: readonly ProviderJob[], milliseconds: number): void {
  const now = Date.now();
  for (const job of jobs) {
    if (phaseOf(job, now) === "ended") continue;
    job.startsAt -= milliseconds;
    if (job.endsAt !== null) job.endsAt -= milliseconds;
  }
}

/** What is told beside a generation's end. */
export function logOf({ logBytes }: ActiveProviderRule): { logs?: string } {
  return logBytes === 0 ? {} : { logs: "frame 1 of 120\n".repeat(Math.ceil(logBytes / 15)) };
}

/** The text in a field of an input; empty where there is none. */
export function textIn(input: unknown, name: string): string {
  const fields: Record<string, unknown> = typeof input === "object" && input !== null ? { ...input } : {};
  const text = fields[name];
  return typeof text === "string" ? text : "";
}
