/**
 * Loaded before the functions, in their process: tells port-calls.ts of each call that they make, and waits for its word. It
 * also tells what the process has in hand: requests, and what goes on after their answers.
 */
import type { Message } from "./port-calls.ts";

declare const EdgeRuntime: { waitUntil(work: Promise<unknown>): void };

const supervisor = Deno.env.get("PORT_CALLS_URL") ?? "";
const send = globalThis.fetch;
const serve = Deno.serve;
const { waitUntil } = EdgeRuntime;
let told: Promise<void> = Promise.resolve();

/** One after the other, so that work which another one hands over is known before that one is done. */
function tell(message: Omit<Message, "process">): Promise<void> {
  told = told.then(async () => {
    const body = JSON.stringify({ process: Deno.pid, ...message });
    const response = await send(supervisor, { method: "POST", body });
    await response.body?.cancel();
  });
  return told;
}

async function around<Result>(call: string | null, work: () => Promise<Result>): Promise<Result> {
  await tell({ call, side: "before" });
  try {
    return await work();
  } finally {
    await tell({ call, side: "after" });
  }
}

globalThis.fetch = (input, init) => {
  const { method, url } = input instanceof Request ? input : { method: "GET", url: input };
  const path = new URL(url).pathname.replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{64}|\d{10,}/g, "*");
  // Best effort, and whenever its isolate comes to it: nothing hangs on it.
  if (path.endsWith("/rpc/record_metrics")) return send(input, init);
  return around(`${init?.method ?? method} ${path}`, () => send(input, init));
};

EdgeRuntime.waitUntil = (work) => waitUntil(around(null, () => work));

Object.assign(Deno, {
  serve: (options: Deno.ServeTcpOptions, handler: (request: Request) => Promise<Response>) =>
    serve(options, (request) => around(null, () => handler(request))),
});
