/** The switches of the DeviceCheck simulator. */
import * as z from "zod";
import { times } from "../engine/control.ts";

export type Operation = "query" | "update" | "validate";

/** A call that fits a rule meets its effect instead of, or before, Apple's own answer. */
export const deviceCheckRule = z.strictObject({
  operation: z.enum(["query", "update", "validate"]).optional(),
  /** The name of the device; any without it. */
  device: z.string().optional(),
  times,
  effect: z.enum([
    /** The connection closes, and nothing was done. */
    "down",
    /** The call is done, and the connection closes before its answer. */
    "answer_lost",
    /** The call is done, and answered with 500. */
    "late_error",
    /** 400 after `milliseconds`, as for a token that expires while the call waits. */
    "token_expires",
    /** Apple's own answer, after `milliseconds`. */
    "slow",
    "rate_limited",
    "server_error",
    /** 401, as for a key that Apple does not know. */
    "unauthorized",
    /** 400, as for a token that Apple does not take. */
    "refused",
    /** 200 with a text that means nothing. */
    "garbage",
    /** The update counts only after `milliseconds`; Apple promises no more. */
    "late_update",
  ]),
  milliseconds: z.int().min(0).default(1_000),
});
/** What a test writes. */
export type DeviceCheckRule = z.input<typeof deviceCheckRule>;
