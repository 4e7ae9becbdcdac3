/** The switches that all simulated providers have: what a submission that fits a rule meets, then and later. */
import * as z from "zod";
import { times } from "./control.ts";

const milliseconds = z.int().min(0);

/** What a submission is answered. */
export const submitFaults = [
  /** Accepted, and answered after `submitMilliseconds`. */
  "slow",
  /** Not accepted, and not answered: after `submitMilliseconds` the connection closes. */
  "stalled",
  /** 429, with `retryAfterSeconds` in a Retry-After header. */
  "rate_limited",
  /** As the provider answers an account without balance. */
  "locked",
  /** `status`, with the provider's own error body or, with `ownBody: false`, a gateway's page. */
  "error",
  /** The connection closes before the provider takes the request. */
  "reset",
  /** The provider will not take the input. */
  "refused",
  /** Accepted, and then the connection closes. */
  "answer_lost",
  /** Accepted, and the answer has no id. */
  "malformed_answer",
  /** 307 to the host of the media. */
  "redirected",
] as const;

/** How long a late webhook is late. */
export const webhookMilliseconds = milliseconds.default(1_000);

export const webhookFaults = [
  "lost",
  /** Two deliveries of one event. */
  "duplicated",
  /** `webhookMilliseconds` after the end. */
  "late",
  /** The generation ends at once, and its webhook comes before the answer to the submission. */
  "early",
  /** Only a forged one, signed with a key that is not the provider's. */
  "forged",
  /** Only one of another account, with the provider's signature. */
  "other_account",
] as const;

/** What a provider says of our account; a rule that has it is of no submission, and counts until it is forgotten. */
export const accountState = z.strictObject({
  /** US cents. */
  balance: z.number().default(10_000),
  locked: z.boolean().default(false),
  /** Of any day that is asked for, in US cents; what the generations of the simulator's own cost without it: nothing. */
  billed: z.number().default(0),
});
export type AccountState = z.output<typeof accountState>;

export const providerRule = z.strictObject({
  account: accountState.optional(),
  /** Text that the prompt contains; any prompt without it. */
  prompt: z.string().optional(),
  /** The provider's name of the model, such as `fal-ai/veo3/fast`; any without it. */
  model: z.string().optional(),
  times,

  /** Instead of the simulator's own times. */
  queueMilliseconds: milliseconds.optional(),
  runMilliseconds: milliseconds.optional(),

  submitMilliseconds: milliseconds.default(1_000),
  retryAfterSeconds: z.int().min(0).optional(),
  status: z.int().min(500).max(599).default(503),
  ownBody: z.boolean().default(true),

  /** How the generation ends; it succeeds without it. */
  outcome: z.enum([
    /** With an error that the rule may name. */
    "failed",
    "content_policy",
    /** The output has no video. */
    "result_missing",
    /** The output is in no form that is known. */
    "result_malformed",
    /** It goes on running. */
    "never",
  ]).optional(),

  /** What the result's URL answers; the video without it. */
  media: z.enum([
    "missing",
    /** An HTML page that calls itself video/mp4. */
    "not_a_video",
    /** Begins like the video and goes on for `mediaBytes`, without a Content-Length. */
    "huge",
    /** The video, made `mediaBytes` long by a box that players pass over. */
    "padded",
    /** 302 to the API. */
    "redirected",
    /** The connection closes in the middle. */
    "truncated",
  ]).optional(),
  mediaBytes: z.int().positive().default(512 * 1024 * 1024),
  /** What the video's container says instead of what was ordered. */
  says: z.strictObject({
    seconds: z.number().positive(),
    width: z.int().positive(),
    height: z.int().positive(),
    /** Of its pictures, such as `av01`. */
    codec: z.string().length(4),
    /** How many pictures it has. */
    frames: z.int().min(0),
  }).partial().optional(),

  /** How many requests about the generation fail before the provider answers again, and how. */
  pollFailures: z.int().min(0).default(0),
  pollFailure: z.enum([
    /** A gateway's 502. */
    "gateway",
    /** The provider says that it does not know it. */
    "missing",
    /** As the provider answers a key that it does not know. */
    "unauthorized",
  ]).default("gateway"),

  /** How many requests for the video meet a 404 before it is there. */
  mediaFailures: z.int().min(0).default(0),

  /** How much else the provider tells of the generation's end, before what it made, as a model's log. */
  logBytes: z.int().min(0).default(0),
});
export type ActiveProviderRule = z.output<typeof providerRule>;
