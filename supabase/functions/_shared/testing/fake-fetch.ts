/** A `fetch` whose requests are answered in turn, the last answer again and again, and what was sent. */
import assert from "node:assert/strict";

export interface SentRequest {
  url: string;
  method: string;
  headers: Headers;
  /** Parsed from JSON; null without one. */
  body: unknown;
  redirect: string;
}

export type FakeAnswer = () => Response | Promise<Response>;

export function fakeFetch(...answers: FakeAnswer[]): { sent: SentRequest[]; fetch: typeof globalThis.fetch } {
  const sent: SentRequest[] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const request = new Request(input, init);
    const text = await request.text();
    sent.push({
      url: request.url,
      method: request.method,
      headers: request.headers,
      body: text === "" ? null : JSON.parse(text),
      redirect: request.redirect,
    });
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    assert(answer, `an answer for ${request.url}`);
    return await answer();
  };
  return { sent, fetch };
}

export const json = (body: unknown, status = 200, headers: Record<string, string> = {}): FakeAnswer => () =>
  Response.json(body, { status, headers });

/** A fetch that fails as the runtime's does: by `message` in Deno 2.1, by its cause's in Deno 2.9. */
export const broken = (message: string, cause?: string): FakeAnswer => () =>
  Promise.reject(new TypeError(message, cause === undefined ? {} : { cause: new Error(cause) }));

/** A gateway's own error page. */
export const gatewayPage = (status: number): FakeAnswer => () =>
  new Response("<html>nginx</html>", { status, headers: { "content-type": "text/html" } });
