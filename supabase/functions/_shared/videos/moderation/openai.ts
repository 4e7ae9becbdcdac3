/**
 * OpenAI's moderation: one prompt, with a picture or without, one verdict. An answer in any other form than the documented one is no verdict, and
 * of its errors only the codes are kept, since a message may repeat what was sent.
 */
import * as z from "zod/mini";
import { type BoundedAnswer, describeFetchError, retryAfterSeconds } from "../../platform/bounded-fetch.ts";
import type { OpenAiConfig } from "../../platform/config.ts";
import { fetchWithRetry, retrying } from "../../platform/fetch-with-retry.ts";
import { sleep } from "../../platform/sleep.ts";
import { tryParseJson } from "../../platform/json.ts";
import type { Moderation, Verdict } from "./moderation.ts";

/** The name that OpenAI keeps pointing to its newest model. */
const model = "omni-moderation-latest";
/** It answers within a second. Asking, all tries together, and a submission, of 30 s, have to fit the 60 s of an attempt. */
const timeoutMilliseconds = 8_000;
const askingMilliseconds = 15_000;
/** A result has some 40 numbers. */
const maxBytes = 64 * 1024;

const judged = z.object({
  results: z.tuple([z.object({ flagged: z.boolean(), categories: z.record(z.string(), z.unknown()) })]),
});
const code = z.nullish(z.string().check(z.regex(/^\w{1,50}$/)));
const refusedRequest = z.object({
  error: z.object({ code: z.catch(code, null), type: z.catch(code, null) }),
});

/** The adapter. `now` in milliseconds since 1970. */
export function openAiModeration(
  { config, fetch, now = Date.now, pause = sleep }: {
    config: OpenAiConfig;
    fetch: typeof globalThis.fetch;
    now?: () => number;
    pause?: typeof sleep;
  },
): Moderation {
  return {
    async judge(prompt, imageUrl = null) {
      try {
        const answer = await fetchWithRetry(`${config.apiUrl}/v1/moderations`, {
          method: "POST",
          headers: { authorization: `Bearer ${config.key}`, "content-type": "application/json" },
          body: JSON.stringify({ model, input: inputOf(prompt, imageUrl) }),
          idempotent: true,
          timeoutMilliseconds,
          deadline: now() + askingMilliseconds,
          maxBytes,
        }, retrying(fetch, now, pause));
        return readAnswer(answer, now());
      } catch (error) {
        return { verdict: "unavailable", cause: describeFetchError(error), retryAfterSeconds: null };
      }
    },
  };
}

/** Of several parts there is one verdict. */
function inputOf(prompt: string, imageUrl: string | null) {
  return imageUrl === null
    ? prompt
    : [{ type: "text", text: prompt }, { type: "image_url", image_url: { url: imageUrl } }];
}

function readAnswer({ status, headers, text }: BoundedAnswer, now: number): Verdict {
  const body = tryParseJson(text);
  const result = status === 200 ? judged.safeParse(body).data?.results[0] : undefined;
  if (result === undefined) {
    const error = refusedRequest.safeParse(body).data?.error;
    const why = status === 200 ? "without a verdict" : error?.code ?? error?.type ?? "in no form of its own";
    return {
      verdict: "unavailable",
      cause: `OpenAI answered ${status} ${why}`,
      retryAfterSeconds: retryAfterSeconds(headers, now),
      ...(status === 401 || status === 403 || error?.code === "insufficient_quota"
        ? { needsOperator: true }
        : {}),
    };
  }
  if (!result.flagged) return { verdict: "passed" };
  const categories = Object.entries(result.categories).filter(([, isMet]) => isMet === true);
  return { verdict: "refused", categories: categories.map(([name]) => name) };
}
