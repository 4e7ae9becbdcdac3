/** The switches of the simulated moderation. */
import * as z from "zod";
import { times } from "../engine/control.ts";

/** A prompt that fits a rule meets its effect; what fits none is let pass. */
export const openAiRule = z.strictObject({
  /** A part of the prompt; any without it. */
  prompt: z.string().optional(),
  /** With true, only where a picture comes along; with false, only where none does. */
  picture: z.boolean().optional(),
  times,
  effect: z.enum([
    /** It is against the policy, in these `categories`. */
    "flagged",
    /** The connection closes, and nothing was judged. */
    "down",
    /** It is let pass, after `milliseconds`. */
    "slow",
    /** 429, with a Retry-After of `retryAfterSeconds` where that is said. */
    "rate_limited",
    /** 429, as for an account that has spent all it may. */
    "quota",
    /** 500. */
    "server_error",
    /** 401, as for a key that OpenAI does not know. */
    "unauthorized",
    /** 502 from a gateway. */
    "gateway",
    /** 200 with a text that means nothing. */
    "garbage",
    /** 200 in OpenAI's form, with no result. */
    "no_verdict",
  ]),
  categories: z.array(z.string()).default(["sexual"]),
  milliseconds: z.int().min(0).default(1_000),
  retryAfterSeconds: z.int().min(0).optional(),
});
/** What a test writes. */
export type OpenAiRule = z.input<typeof openAiRule>;
export type ActiveOpenAiRule = z.output<typeof openAiRule>;
