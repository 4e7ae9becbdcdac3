/** The switches of the fal simulator: what a submission that fits a rule meets, then and later. */
import * as z from "zod";
import { takeRule } from "./control.ts";

const milliseconds = z.int().min(0);

export const falRule = z.strictObject({
  /** Text that the prompt contains; any prompt without it. */
  prompt: z.string().optional(),
  /** The endpoint, such as `fal-ai/veo3/fast`; any without it. */
  model: z.string().optional(),
  /** How many submissions it is for; null for all. */
  times: z.int().positive().nullable().default(1),

  /** Instead of the simulator's own times. */
  queueMilliseconds: milliseconds.optional(),
  runMilliseconds: milliseconds.optional(),

  /** What the submission is answered. */
  submit: z.enum([
    /** Accepted, after `submitMilliseconds`. */
    "slow",
    /** 429, with `retryAfterSeconds` in a Retry-After header. */
    "rate_limited",
    /** 403, as fal answers an account without balance. */
    "locked",
    /** `status`, with fal's own error body or, with `ownBody: false`, a gateway's page. */
    "error",
    /** The connection closes before fal takes the request. */
    "reset",
    /** 422 for the input. */
    "refused",
    /** 422 for the prompt's content. */
    "content_policy",
    /** Accepted, and then the connection closes. */
    "answer_lost",
    /** Accepted, and the answer has no request id. */
    "malformed_answer",
    /** 307 to the host of the media. */
    "redirected",
    /** Accepted, and the answer's URLs are on the host of the media. */
    "foreign_urls",
  ]).optional(),
  submitMilliseconds: milliseconds.default(1_000),
  retryAfterSeconds: z.int().min(0).optional(),
  status: z.int().min(500).max(599).default(503),
  ownBody: z.boolean().default(true),

  /** How the generation ends; it succeeds without it. */
  outcome: z.enum([
    /** With the platform's error `errorType`. */
    "failed",
    "content_policy",
    /** The output has no video. */
    "result_missing",
    /** The output is not JSON. */
    "result_malformed",
    /** It stays in progress. */
    "never",
  ]).optional(),
  errorType: z.string().default("runner_server_error"),

  webhook: z.enum([
    "lost",
    /** Two deliveries of one event. */
    "duplicated",
    /** `webhookMilliseconds` after the end. */
    "late",
    /** The generation ends at once, and its webhook comes before the answer to the submission. */
    "early",
    /** Only a forged one, signed with a key that is not fal's. */
    "forged",
    /** Only one of another account, with fal's signature. */
    "other_account",
    /** Without the payload, as fal sends one that it could not serialise. */
    "without_payload",
  ]).optional(),
  webhookMilliseconds: milliseconds.default(1_000),

  /** What the result's URL answers; the video without it. */
  media: z.enum([
    "missing",
    /** An HTML page that calls itself video/mp4. */
    "not_a_video",
    /** Begins like the video and goes on for `mediaBytes`, without a Content-Length. */
    "huge",
    /** 302 to the queue. */
    "redirected",
    /** The connection closes in the middle. */
    "truncated",
  ]).optional(),
  mediaBytes: z.int().positive().default(512 * 1024 * 1024),

  /** How many requests for status or result meet a gateway's 502 before fal answers again. */
  pollFailures: z.int().min(0).default(0),

  /** What a cancellation does to a running generation; it ends it without it. */
  cancel: z.enum([
    /** It completes all the same. */
    "ignored",
    /** fal no longer knows the request. */
    "forgotten",
  ]).optional(),
});

/** What a test writes. */
export type FalRule = z.input<typeof falRule>;
export type ActiveFalRule = z.output<typeof falRule>;

/** The rule that counts for a submission, which uses it once; null where none fits. */
export function ruleFor(rules: ActiveFalRule[], model: string, prompt: string): ActiveFalRule | null {
  return takeRule(rules, (rule) =>
    (rule.model === undefined || rule.model === model) &&
    (rule.prompt === undefined || prompt.includes(rule.prompt)));
}
