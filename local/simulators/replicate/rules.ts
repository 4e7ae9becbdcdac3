/** The switches of the Replicate simulator: those of every provider, and Replicate's own. */
import * as z from "zod";
import { providerRule, submitFaults, webhookFaults, webhookMilliseconds } from "../engine/rules.ts";

export const replicateRule = providerRule.extend({
  submit: z.enum(submitFaults).optional(),
  /** Of a failed prediction. */
  error: z.string().default(
    "Service is temporarily unavailable. Please try again later. (E004) (kYwQ8m2xLp)",
  ),
  webhook: z.enum([
    ...webhookFaults,
    /** With two signatures, of which the first is by an old secret. */
    "rotated",
  ]).optional(),
  webhookMilliseconds,
  /** The form of the output; the URL alone without it. */
  output: z.enum(["list", "files"]).optional(),
  /** How long after its end a prediction still has its output. */
  outputMilliseconds: z.int().min(0).default(60 * 60_000),
  /** What a cancellation does; it ends the prediction, and says so, without it. */
  cancel: z.enum([
    /** It ends it, and the answer does not say so yet. */
    "signal",
    /** It goes on all the same. */
    "ignored",
    /** Replicate no longer knows the prediction. */
    "forgotten",
  ]).optional(),
});

/** What a test writes. */
export type ReplicateRule = z.input<typeof replicateRule>;
export type ActiveReplicateRule = z.output<typeof replicateRule>;
