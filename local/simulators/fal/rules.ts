/** The switches of the fal simulator: those of every provider, and fal's own. */
import * as z from "zod";
import { providerRule, submitFaults, webhookFaults, webhookMilliseconds } from "../engine/rules.ts";

export const falRule = providerRule.extend({
  submit: z.enum([
    ...submitFaults,
    /** 422 for the prompt's content. */
    "content_policy",
    /** Accepted, and the answer's URLs are on the host of the media. */
    "foreign_urls",
  ]).optional(),
  /** Of the platform's errors: in a failed generation, and in the body of `submit: "error"`. */
  errorType: z.string().default("runner_server_error"),
  webhook: z.enum([
    ...webhookFaults,
    /** Without the payload, as fal sends one that it could not serialise. */
    "without_payload",
  ]).optional(),
  webhookMilliseconds,
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
