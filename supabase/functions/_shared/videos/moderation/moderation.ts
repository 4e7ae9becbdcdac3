/** The port to a service that judges prompts, before a provider is asked. What follows from a verdict, procedures decide. */
import type { Port } from "../../endpoint/context.ts";
import type { Config } from "../../platform/config.ts";
import { openAiModeration } from "./openai.ts";

/**
 * `refused`: the service says that nobody should make this; `categories` are its own names for why.
 * `unavailable`: it has not judged, which says nothing about the prompt.
 */
export type Verdict =
  | { verdict: "passed" }
  | { verdict: "refused"; categories: string[] }
  | {
    verdict: "unavailable";
    cause: string;
    retryAfterSeconds: number | null;
    /** It does not take our key, or our balance. */
    needsOperator?: true;
  };

export interface Moderation {
  /**
   * Judges a prompt, and the picture that goes with it, at a URL that the service fetches. Never throws. Both go to the
   * service, and nowhere else.
   */
  judge(prompt: string, imageUrl?: string | null): Promise<Verdict>;
}

/**
 * Null where no service is configured: then the operator's terms are all that a prompt is held to. One whose key is bad was
 * meant to judge, so that nothing passes until the operator has mended it.
 */
export const promptModeration: Port<Moderation | null> = ({ config, fetch, now }) => {
  if (config.broken.openai !== undefined) return unavailableModeration(config.broken.openai.join("; "));
  return config.openai === null ? null : openAiModeration({ config: config.openai, fetch, now });
};

/** Who judges prompts, and so gets them, by the name that clients see; null where nobody does. */
export function moderatorOf({ openai, broken }: Config): "openai" | null {
  return openai === null && broken.openai === undefined ? null : "openai";
}

function unavailableModeration(cause: string): Moderation {
  return {
    judge: () =>
      Promise.resolve({ verdict: "unavailable", cause, retryAfterSeconds: null, needsOperator: true }),
  };
}
