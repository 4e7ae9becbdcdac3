/** What goes wrong in a chaos run, all of it drawn from one seed. */
import type { AppStoreRule } from "../../local/simulators/app-store/rules.ts";
import type { FalRule } from "../../local/simulators/fal/fal.ts";
import type { OpenAiRule } from "../../local/simulators/openai/openai.ts";

/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A seed for a part of a run, so that what one client does changes nothing for the others. */
export function seedOf(seed: number, part: number): number {
  return Math.imul(seed ^ part, 0x9e3779b1) ^ part;
}

/** Every way in which fal may fail a generation; each as likely as the next. */
const failures: readonly Omit<FalRule, "prompt">[] = [
  { submit: "slow", submitMilliseconds: 700 },
  { submit: "slow", submitMilliseconds: 3_000, webhook: "lost" },
  { submit: "stalled", submitMilliseconds: 500 },
  { submit: "rate_limited" },
  { submit: "rate_limited", retryAfterSeconds: 5, times: 3 },
  { submit: "locked" },
  { submit: "error", status: 503 },
  { submit: "error", status: 503, ownBody: false },
  { submit: "error", status: 500 },
  { submit: "error", status: 502, ownBody: false },
  { submit: "reset" },
  { submit: "refused" },
  { submit: "content_policy" },
  { submit: "answer_lost" },
  { submit: "answer_lost", webhook: "lost" },
  { submit: "answer_lost", webhook: "late", webhookMilliseconds: 3_000 },
  { submit: "malformed_answer" },
  { submit: "redirected" },
  { submit: "foreign_urls" },
  { outcome: "failed" },
  { outcome: "failed", webhook: "lost" },
  { outcome: "failed", errorType: "request_timeout" },
  { outcome: "content_policy" },
  { outcome: "result_missing" },
  { outcome: "result_malformed" },
  { outcome: "never" },
  { outcome: "never", cancel: "ignored" },
  { webhook: "lost" },
  { webhook: "lost", pollFailures: 3 },
  { webhook: "lost", pollFailures: 3, pollFailure: "missing" },
  { webhook: "lost", pollFailures: 3, pollFailure: "unauthorized" },
  { webhook: "duplicated" },
  { webhook: "late", webhookMilliseconds: 2_000 },
  { webhook: "late", webhookMilliseconds: 5_000, pollFailures: 100 },
  { webhook: "early" },
  { webhook: "forged" },
  { webhook: "other_account" },
  { webhook: "without_payload" },
  { media: "missing" },
  { mediaFailures: 3 },
  { logBytes: 2_000_000 },
  { media: "not_a_video" },
  { media: "huge", mediaBytes: 4 * 1024 * 1024 },
  { media: "redirected" },
  { media: "truncated" },
  { runMilliseconds: 2_000, cancel: "ignored" },
  { runMilliseconds: 2_000, cancel: "forgotten" },
];

/** Milliseconds that a submission, the queue and a generation take at most, where no fault says otherwise. */
const maxSubmission = 1_500;
const maxQueue = 300;
const maxRun = 600;

/** How fal treats the next video: half of them well. */
export function drawRule(random: () => number): Omit<FalRule, "prompt"> {
  const upTo = (longest: number) => Math.floor(random() * longest);
  const rule: Omit<FalRule, "prompt"> = {
    // Whoever is killed while it lasts does not know whether fal has it.
    submit: "slow",
    submitMilliseconds: upTo(maxSubmission),
    queueMilliseconds: upTo(maxQueue),
    runMilliseconds: upTo(maxRun),
  };
  const failure = random() < 0.5 ? failures[upTo(failures.length)] : undefined;
  return { ...rule, ...failure };
}

/** Every way in which OpenAI may not judge a prompt, and its refusal. */
const judgements: readonly Omit<OpenAiRule, "prompt">[] = [
  { effect: "flagged", times: null },
  { effect: "down" },
  { effect: "down", times: 5 },
  { effect: "slow", milliseconds: 1_500 },
  { effect: "rate_limited", retryAfterSeconds: 5 },
  { effect: "rate_limited", times: 3 },
  { effect: "quota" },
  { effect: "server_error" },
  { effect: "unauthorized" },
  { effect: "gateway" },
  { effect: "garbage" },
  { effect: "no_verdict" },
  // For longer than a job waits.
  { effect: "server_error", times: null },
];

/** How OpenAI meets the next prompt, where not well: one in four. */
export function drawJudgement(random: () => number): Omit<OpenAiRule, "prompt"> | undefined {
  const kind = random();
  return random() < 0.25 ? judgements[Math.floor(kind * judgements.length)] : undefined;
}

/** Every way in which Apple's next notification may come. */
const notifications: readonly Omit<Extract<AppStoreRule, { for: "notification" }>, "for">[] = [
  { delivery: "lost" },
  { delivery: "duplicated" },
  { delivery: "duplicated", milliseconds: 800 },
  { delivery: "genuine", milliseconds: 1_500 },
  { delivery: "forged" },
  { delivery: "other_app" },
  { delivery: "other_environment" },
];

/** How the next notification comes: half of them well. What does not come is in Apple's history. */
export function drawNotificationRule(random: () => number): AppStoreRule {
  const rule = random() < 0.5 ? notifications[Math.floor(random() * notifications.length)] : undefined;
  return { for: "notification", ...rule };
}

const apiEffects = [
  "down",
  "answer_lost",
  "slow",
  "rate_limited",
  "server_error",
  "gateway",
  "garbage",
] as const;

/** How Apple's API meets the next question. */
export function drawApiRule(random: () => number): AppStoreRule {
  return {
    for: "api",
    effect: apiEffects[Math.floor(random() * apiEffects.length)] ?? "down",
    milliseconds: 2_000,
  };
}

export const disasters = [
  // Killed, and back after `milliseconds`.
  ...["functions", "gateway", "database"] as const,
  // Stopped where it is, with all that it has to do with others, for `milliseconds`.
  ...["functions stalled", "gateway stalled", "database stalled"] as const,
  // The clock moves by `milliseconds`, over leases, pauses and bounds.
  "clock",
  // A session holds locks of users and jobs for `milliseconds`.
  "lock",
  // All connections of the server are taken for `milliseconds`.
  "connections",
  // Nobody ticks for an hour of the clock, and `milliseconds`.
  "scheduler",
  // Realtime loses the connection by which the database tells it, and all who listen with it.
  "realtime",
] as const;

export interface Disaster {
  readonly what: (typeof disasters)[number];
  readonly milliseconds: number;
}

/** Milliseconds between two disasters at most, and until somebody starts again what was killed. */
const maxPeace = 2_500;
const maxAbsence = 1_000;
/** Longer than what waits for an answer, some of it twice. */
const stalls = { from: 6_000, to: 16_000 };
/** From the lease of a submission to a little more than a job's bound. */
const leaps = [61_000, 181_000, 450_000, 910_000];
const long = ["functions stalled", "gateway stalled", "database stalled", "lock", "connections"] as const;

/** What happens next, after so many milliseconds. */
export function drawDisaster(random: () => number): { after: number; disaster: Disaster } {
  const after = Math.floor(random() * maxPeace);
  const kind = random();
  const size = random();
  if (kind < 0.2) {
    return { after, disaster: { what: "clock", milliseconds: leaps[Math.floor(size * leaps.length)] ?? 0 } };
  }
  const absence = Math.floor(size * maxAbsence);
  if (kind < 0.25) return { after, disaster: { what: "scheduler", milliseconds: absence } };
  if (kind < 0.5) {
    const what = long[Math.floor((kind - 0.25) / 0.25 * long.length)] ?? "lock";
    return {
      after,
      disaster: { what, milliseconds: Math.floor(stalls.from + size * (stalls.to - stalls.from)) },
    };
  }
  const killed = kind < 0.7 ? "functions" : kind < 0.82 ? "database" : kind < 0.9 ? "gateway" : "realtime";
  return { after, disaster: { what: killed, milliseconds: absence } };
}
