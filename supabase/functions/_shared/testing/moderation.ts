import type { Moderation, Verdict } from "../videos/moderation/moderation.ts";

/** A moderation service that gives this verdict, and the prompts that it saw. */
export function fakeModeration(
  verdict: Verdict = { verdict: "passed" },
): { moderation: Moderation; seen: string[] } {
  const seen: string[] = [];
  return {
    seen,
    moderation: {
      judge: (prompt) => {
        seen.push(prompt);
        return Promise.resolve(verdict);
      },
    },
  };
}
