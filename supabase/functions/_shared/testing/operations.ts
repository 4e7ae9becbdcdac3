/** Operations as small as the wrapper's tests need them, and what they are sent. */
import { codes } from "../errors/error-codes.ts";
import * as z from "zod/mini";
import type { Context, Keyed, Runtime } from "../endpoint/context.ts";
import type { Declaration } from "../endpoint/operation.ts";

/** A GET that anybody may call, with what a test is about in place of the defaults. */
export function read(overrides: Partial<Declaration> = {}): Declaration {
  return {
    method: "GET",
    summary: "Reads a thing",
    auth: "public",
    response: { 200: z.strictObject({ ok: z.boolean() }), 304: null },
    errors: [],
    service: () => Promise.resolve({ status: 200, body: { ok: true } }),
    ...overrides,
  };
}

export const CreateRequest = z.strictObject({
  prompt: z.string().check(z.trim(), z.minLength(1), z.maxLength(20)),
  settings: z.optional(
    z.strictObject({ seconds: z._default(z.int(), 4), tags: z._default(z.array(z.string()), []) }),
  ),
});

/** A keyed POST of a user, whose answer shows what the service was given. */
export function create(overrides: Partial<Declaration> = {}): Declaration {
  return {
    method: "POST",
    summary: "Creates a thing",
    auth: "user",
    policies: ["writes"],
    idempotencyKey: "required",
    request: CreateRequest,
    response: { 202: z.looseObject({}) },
    errors: [codes["payment/insufficient-credits"]],
    service: (input: z.output<typeof CreateRequest>, context: Context<"user"> & Keyed) =>
      Promise.resolve({ status: 202, body: { input, ...context.idempotency } }),
    ...overrides,
  };
}

export const headers = { "Idempotency-Key": "key-1" };
export const post = { method: "POST", headers, json: { prompt: "a red fox" } };

export function failing(error: unknown): Pick<Declaration, "service"> {
  return { service: () => Promise.reject(error) };
}

/** An operation whose service hands its port's runtime to the test's function. */
export function withRuntime(act: (runtime: Runtime) => unknown): Pick<Declaration, "ports" | "service"> {
  return {
    ports: { runtime: (runtime) => runtime },
    service: async (_input: unknown, { runtime }: { runtime: Runtime }) => {
      await act(runtime);
      return { status: 200, body: { ok: true } };
    },
  };
}

export async function errorOf(response: Response) {
  return (await response.json()).error;
}
