import * as z from "zod/mini";
import type { SignedInput } from "../endpoint/context.ts";
import type { Declaration } from "../endpoint/operation.ts";
import { maxBodyBytes, parseJson, readBody, requireJson } from "./request-body.ts";
import { type FieldError, malformed, validate } from "./validation.ts";

/**
 * What the service gets first: the validated body, or the bytes that the sender signed, or the validated query. A body
 * that is not asked for is refused, since whoever sends one means something by it that would not happen. `admit` is asked
 * between query and body. Throws ERR_4008, ERR_4013 or ERR_4018, and what `admit` throws.
 */
export async function inputOf(
  operation: Declaration,
  request: Request,
  admit: (query: unknown) => Promise<void> = () => Promise.resolve(),
): Promise<unknown> {
  const query = readQuery(operation.query ?? z.strictObject({}), new URL(request.url).searchParams);
  await admit(query);
  if (operation.rawBody) {
    const body = await readBody(request, operation.rawBody.maxBytes);
    return { body, headers: request.headers, query } satisfies SignedInput<unknown>;
  }
  if (operation.request) {
    if (!operation.bodyIsOptional) requireJson(request.headers);
    const body = await readBody(request, maxBodyBytes);
    if (operation.bodyIsOptional && saysNothing(body)) return validate(operation.request, {});
    requireJson(request.headers);
    return validate(operation.request, parseJson(body));
  }
  const body = await readBody(request, maxBodyBytes);
  if (!saysNothing(body)) validate(z.strictObject({}), parseJson(body));
  return operation.query ? query : undefined;
}

/** pg_net posts `{}` where there is nothing to say, so that is as good as nothing, whatever type it is said to be. */
function saysNothing(body: Uint8Array): boolean {
  return body.byteLength <= 2 && /^(\{\})?$/.test(new TextDecoder().decode(body));
}

function readQuery(schema: z.ZodMiniObject, parameters: URLSearchParams): unknown {
  const entries = [...parameters]
    // supabase-js adds it beside its x-region header, for the platform's router.
    .filter(([name]) => name !== "forceFunctionRegion");
  const names = entries.map(([name]) => name);
  const repeated = new Set(names.filter((name, index) => names.indexOf(name) !== index));
  if (repeated.size > 0) {
    throw malformed(Array.from(repeated, (path): FieldError => ({ path, message: "Must be given once" })));
  }
  return validate(schema, Object.fromEntries(entries));
}
