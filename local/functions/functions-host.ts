/**
 * Serves a project's functions as the platform's edge runtime does. A program of its own: functions.ts gives it their
 * folder's URL in FUNCTIONS_DIRECTORY, and in FUNCTIONS_ENVIRONMENT, as JSON, the whole environment that they shall see. It
 * may name a module's URL in FUNCTIONS_PRELOAD.
 */
import { messages, reportPort } from "../processes/child.ts";

type Handler = (request: Request) => Response | Promise<Response>;

const directory = Deno.env.get("FUNCTIONS_DIRECTORY") ?? "";
/** How long work handed to waitUntil may go on after SIGTERM: enough for a provider's answer, no more than a reload can wait. */
const shutdownGrace = 5_000;

replaceEnvironment();
const background = new Set<Promise<unknown>>();
Object.assign(globalThis, { EdgeRuntime: { waitUntil } });

// What a test puts between the functions and the world, before any of them sees it.
const preload = Deno.env.get("FUNCTIONS_PRELOAD");
if (preload !== undefined) await import(preload);

const functions = new Map<string, Promise<Handler>>();
for await (const entry of Deno.readDir(new URL(directory))) {
  if (entry.isDirectory && !entry.name.startsWith("_")) functions.set(entry.name, load(entry.name));
}

const server = Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => reportPort(port),
}, serve);

Deno.addSignalListener("SIGTERM", async () => {
  // As the platform tells an isolate that it ends.
  globalThis.dispatchEvent(new CustomEvent("beforeunload", { detail: { reason: "termination" } }));
  const work = async () => {
    await server.shutdown();
    // Work may hand more work over.
    while (background.size > 0) await Promise.allSettled(background);
  };
  await Promise.race([work(), new Promise((resolve) => setTimeout(resolve, shutdownGrace))]);
  Deno.exit();
});
// deno-lint-ignore no-empty -- the parent says nothing; this ends when it does
for await (const _ of messages()) {}
Deno.exit();

/** Leaves of our own environment nothing that the platform would not give. */
function replaceEnvironment(): void {
  const wanted = JSON.parse(Deno.env.get("FUNCTIONS_ENVIRONMENT") ?? "{}");
  for (const name of Object.keys(Deno.env.toObject())) Deno.env.delete(name);
  for (const [name, value] of Object.entries<string>(wanted)) Deno.env.set(name, value);
}

/** The platform's way to go on working after the answer. */
function waitUntil(work: Promise<unknown>): void {
  const observed = work.catch((error) => console.error("waitUntil:", error)).finally(() =>
    background.delete(observed)
  );
  background.add(observed);
}

/** Loads a function's module now, in the background; what goes wrong is reported by the first request. */
function load(name: string): Promise<Handler> {
  const handler = importFunction(name);
  handler.catch((error) => console.error(`${name} does not load:`, error));
  return handler;
}

async function importFunction(name: string): Promise<Handler> {
  const bundle = new URL(`${name}/index.js`, directory);
  const isBundled = await Deno.stat(bundle).then(() => true, () => false);
  const entryPoint = isBundled ? bundle : new URL(`${name}/index.ts`, directory);
  const module = await import(entryPoint.href);
  const fetch: unknown = module.default?.fetch;
  if (typeof fetch !== "function") throw new TypeError(`The default export of ${entryPoint} has no fetch`);
  return (request: Request) => fetch.call(module.default, request);
}

async function serve(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  const handler = functions.get(pathname.split("/")[1] ?? "");
  if (handler === undefined) return platformError(404, "NOT_FOUND", "Requested function was not found");
  let fetch: Handler;
  try {
    fetch = await handler;
  } catch {
    return platformError(503, "BOOT_ERROR", "Function failed to start (please check logs)");
  }
  try {
    return await fetch(request);
  } catch (error) {
    console.error(`${pathname}:`, error);
    return platformError(500, "WORKER_ERROR", "Function exited due to an error (please check logs)");
  }
}

function platformError(status: number, code: string, message: string): Response {
  return Response.json({ code, message }, { status, headers: { "sb-error-code": code } });
}
