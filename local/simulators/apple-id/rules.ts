/** The switches of simulated Sign in with Apple. */
import * as z from "zod";
import { times } from "../engine/control.ts";

/** A request that fits a rule meets its effect instead of, or before, Apple's own answer. */
export const appleIdRule = z.strictObject({
  /** Any of them without it. */
  operation: z.enum(["keys", "token", "revoke"]).optional(),
  times,
  effect: z.enum([
    /** The connection closes, and nothing was done. */
    "down",
    /** It is done, and the connection closes before the answer. */
    "answer_lost",
    /** Apple's own answer, after `milliseconds`. */
    "slow",
    "rate_limited",
    "server_error",
    /** 400 `invalid_client`, as for a key that Apple does not know. */
    "unauthorized",
    /** 200 with a text that means nothing. */
    "garbage",
  ]),
  milliseconds: z.int().min(0).default(1_000),
});
/** What a test writes. */
export type AppleIdRule = z.input<typeof appleIdRule>;
export type ActiveAppleIdRule = z.output<typeof appleIdRule>;
