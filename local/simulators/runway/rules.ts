/** The switches of the Runway simulator: those of every provider, and Runway's own. It has no webhooks. */
import * as z from "zod";
import { providerRule, submitFaults } from "../engine/rules.ts";

export const runwayRule = providerRule.extend({
  submit: z.enum(submitFaults).optional(),
  /** Of a failed task; null for one that comes without. */
  failureCode: z.string().nullable().default("INTERNAL"),
  /** Whether it waits for the account's own other tasks. */
  throttled: z.boolean().default(false),
  /** What Runway says of a task that was cancelled; nothing, as of one that never was, without it. */
  cancel: z.enum([
    /** That it is. */
    "remembered",
  ]).optional(),
});

/** What a test writes. */
export type RunwayRule = z.input<typeof runwayRule>;
export type ActiveRunwayRule = z.output<typeof runwayRule>;
