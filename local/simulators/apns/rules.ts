/** The switches of the simulated push service, and what it tells of itself. */
import * as z from "zod";
import { times } from "../engine/control.ts";

const common = {
  /** Of the device; any without it. */
  token: z.string().optional(),
  environment: z.enum(["production", "sandbox"]).optional(),
  times,
};

/** A push that fits a rule, and that Apple would take, meets its effect. What fits none is sent to the device. */
export const apnsRule = z.discriminatedUnion("effect", [
  /** Apple's error, in its words. */
  z.strictObject({
    effect: z.literal("refused"),
    ...common,
    status: z.int(),
    reason: z.string(),
    /** Of a device that is gone: since when, in milliseconds since 1970. */
    timestamp: z.int().optional(),
    retryAfterSeconds: z.int().optional(),
  }),
  /** 403, and whoever comes with the same provider token gets it, too. */
  z.strictObject({ effect: z.literal("expired_provider_token"), ...common }),
  /** It is sent, and the connection takes no further request: GOAWAY. */
  z.strictObject({ effect: z.literal("goaway"), ...common }),
  /** The connection closes, with all that is under way on it, before anything is sent. */
  z.strictObject({ effect: z.literal("down"), ...common }),
  /** It is sent, and the connection closes before the answer. */
  z.strictObject({ effect: z.literal("answer_lost"), ...common }),
  /** It is sent, after so many milliseconds. */
  z.strictObject({ effect: z.literal("slow"), ...common, milliseconds: z.int().min(0) }),
]);
/** What a test writes. */
export type ApnsRule = z.input<typeof apnsRule>;
export type ActiveApnsRule = z.output<typeof apnsRule>;

const pushRequest = z.object({
  at: z.number(),
  /** Which connection it came by, counted from 1. */
  connection: z.int(),
  environment: z.enum(["production", "sandbox"]),
  token: z.string(),
  /** Those that begin with `apns-`. */
  headers: z.record(z.string(), z.string()),
  payload: z.unknown(),
  /** What it was answered; null where the connection was closed. */
  status: z.int().nullable(),
  reason: z.string().nullable(),
  /** Whether the device gets it. */
  isSent: z.boolean(),
});
export type PushRequest = z.output<typeof pushRequest>;

export const apnsReport = z.object({
  /** Since the start or the last reset, the newest 1,000. */
  requests: z.array(pushRequest),
  /** Since the start. */
  connections: z.int(),
  rules: z.array(apnsRule),
});
export type ApnsReport = z.output<typeof apnsReport>;
