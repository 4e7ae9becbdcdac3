/** The switches of the App Store simulator: how its API and its notifications misbehave. */
import * as z from "zod";
import { times } from "../engine/control.ts";

export type Operation = "transaction" | "refunds" | "history" | "test" | "consumption";

/** A call of the Server API that fits a rule meets its effect instead of, or before, Apple's own answer. */
const apiRule = z.strictObject({
  for: z.literal("api"),
  operation: z.enum(["transaction", "refunds", "history", "test", "consumption"]).optional(),
  times,
  effect: z.enum([
    /** The connection closes, and nothing was done. */
    "down",
    /** The call is done, and the connection closes before its answer. */
    "answer_lost",
    /** Apple's own answer, after `milliseconds`. */
    "slow",
    /** 429, with Apple's kind of Retry-After, `milliseconds` from now. */
    "rate_limited",
    "server_error",
    /** 401, as for a key that was revoked. */
    "unauthorized",
    /** A gateway's page. */
    "gateway",
    /** 200 with a text that means nothing. */
    "garbage",
  ]),
  milliseconds: z.int().min(0).default(1_000),
});

/** A notification that fits a rule is sent as the rule says, `milliseconds` late. It is in Apple's history all the same. */
const notificationRule = z.strictObject({
  for: z.literal("notification"),
  /** Apple's word for its type; any without it. */
  type: z.string().optional(),
  times,
  delivery: z.enum([
    "genuine",
    "lost",
    /** Twice. */
    "duplicated",
    /** Signed by another store. */
    "forged",
    /** About another app; signed by Apple. */
    "other_app",
    /** Said to be of the other environment, where it was not. */
    "other_environment",
  ]).default("genuine"),
  milliseconds: z.int().min(0).default(0),
});

export const appStoreRule = z.discriminatedUnion("for", [apiRule, notificationRule]);
/** What a test writes. */
export type AppStoreRule = z.input<typeof appStoreRule>;
export type ActiveAppStoreRule = z.output<typeof appStoreRule>;
export type ActiveApiRule = z.output<typeof apiRule>;
export type ActiveNotificationRule = z.output<typeof notificationRule>;
