/** A service outside that quotes in every answer what it was sent, and the canaries. It stands for all of them. */
import { canaries } from "./canaries.ts";

export interface BabblingService extends AsyncDisposable {
  readonly url: string;
  /** With its port. */
  readonly host: string;
  /** How many requests it has answered. */
  readonly answered: () => number;
}

/** Their number has no divisor in common with that of the forms, so that in time each form comes with each status. */
const statuses = [200, 201, 400, 401, 404, 408, 409, 422, 429, 500, 503];

/** What providers and Apple answer, good and bad, with `text` wherever they put text of their own. */
const forms: ((text: string, status: number, id: string) => unknown)[] = [
  // Anybody, and Apple in particular.
  (text) => text,
  (text) => ({ message: text, prompt: text, [text]: text }),
  // fal
  (text) => ({ detail: text, error_type: text }),
  (text) => ({ detail: [{ loc: ["body", "prompt"], msg: text, type: text, input: { prompt: text } }] }),
  (text, _status, id) => ({ request_id: id, status: "COMPLETED", error: text, error_type: text }),
  (text, _status, id) => ({ request_id: id, status: "IN_QUEUE", status_url: text }),
  // Replicate
  (text, status) => ({ title: text, detail: text, status }),
  (text, _status, id) => ({ id, status: "failed", error: text, input: { prompt: text }, logs: text }),
  // Runway
  (text) => ({ error: text, docUrl: text, issues: [{ code: text, message: text }] }),
  (text, _status, id) => ({ id, status: "FAILED", failure: text, failureCode: text }),
  // APNs
  (text) => ({ reason: text, timestamp: 1 }),
  // OpenAI
  (text) => ({ error: { code: text, type: text, message: text } }),
  (text) => ({ results: [{ flagged: true, categories: { [text]: true } }] }),
];

/** What lets a prompt through to the providers. */
const passed = JSON.stringify({ results: [{ flagged: false, categories: {} }] });

/** Starts it. It answers no two requests after one another in the same way. */
export function startBabblingService(): BabblingService {
  let count = 0;
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
    const turn = count++;
    const sent = await request.text();
    if (request.url.endsWith("/v1/moderations") && turn % 5 > 1) return new Response(passed);
    const status = statuses[turn % statuses.length] ?? 500;
    const form = forms[turn % forms.length];
    // In turn one of them alone, which may look like a word of the protocol, and one in a sentence with its request.
    const { value = "" } = canaries[Math.floor(turn / 2) % canaries.length] ?? {};
    const text = turn % 2 === 0 ? value : `Cannot process ${value}, as in ${sent.slice(0, 2_000)}`;
    const body = form?.(text, status, crypto.randomUUID());
    return new Response(typeof body === "string" ? body : JSON.stringify(body), {
      status,
      headers: { "x-fal-error-type": encodeURIComponent(value), "retry-after": "1" },
    });
  });
  const { port } = server.addr;
  return {
    url: `http://127.0.0.1:${port}`,
    host: `127.0.0.1:${port}`,
    answered: () => count,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
