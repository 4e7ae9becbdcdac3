/** Requests of the generated client, sent by supabase-js: its keys, its address, and the fetch that it was given. */
import { noAnswer } from "./errors.ts";
import type { Supabase } from "./session.ts";

/** Stands before every path; supabase-js knows the project's. */
export const baseUrl = "https://functions.invalid";

/** Sends one request, once. Throws "no answer" where none came, or none that Kinora can have given. */
export async function send(supabase: Supabase, request: Request): Promise<Response> {
  const headers: Record<string, string> = {};
  request.headers.forEach((value, name) => headers[name] = value);
  const body = await request.text();
  const { data, error, response } = await supabase.functions.invoke(request.url.slice(baseUrl.length + 1), {
    method: request.method as "GET",
    headers,
    signal: request.signal,
    ...(body === "" ? {} : { body }),
  });
  if (error !== null) {
    // The answer that supabase-js took for an error; where there was none, what fetch threw.
    const { context } = error as { context?: unknown };
    if (!isResponse(context)) throw noAnswer("There was no answer", context ?? error);
    const text = await context.text().catch((cause: unknown) => {
      throw noAnswer("The answer broke off", cause, context.status);
    });
    return new Response(text, { status: context.status, headers: context.headers });
  }
  if (response?.status === 204) return new Response(null, { status: 204 });
  // A page of a network's sign-in is 200, too.
  if (typeof data !== "object" || data === null) {
    throw noAnswer("The answer is not Kinora's", undefined, response?.status);
  }
  return new Response(JSON.stringify(data), {
    status: response?.status ?? 200,
    headers: response?.headers ?? {},
  });
}

/** By its shape: a polyfill's class is not the runtime's. */
function isResponse(value: unknown): value is Response {
  return typeof value === "object" && value !== null && "status" in value && "text" in value;
}
