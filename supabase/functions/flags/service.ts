import { AppError } from "../_shared/errors/app-error.ts";
import { codes } from "../_shared/errors/error-codes.ts";
import { actor, type Database } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { type EvaluatedFlag, EvaluatedFlags, type FlagsRequest } from "./schema.ts";

type FlagsContext = Context<"user"> & { database: Database };

/** What rules read; the rest may be anything, and stays here. */
function attributesOf({ context: { app_version, platform, locale } }: FlagsRequest) {
  return { app_version, platform, locale };
}

/** Every flag, as it is for the caller. Nothing is remembered: a change is there with the next question. */
export async function evaluateFlags(
  request: FlagsRequest,
  context: FlagsContext,
): Promise<Answer<EvaluatedFlags>> {
  const args = { p_context: attributesOf(request), ...actor(context) };
  return { status: 200, body: await context.database.call("flags", args, EvaluatedFlags) };
}

/** One flag. Throws ERR_4007 where there is none with that key. */
export async function evaluateFlag(
  request: FlagsRequest & { readonly key: string },
  context: FlagsContext,
): Promise<Answer<EvaluatedFlag>> {
  const notFound = () => new AppError(codes["resource/not-found"]);
  // No flag has another key; and what Postgres cannot take never gets there.
  if (!/^[A-Za-z0-9._-]{1,100}$/.test(request.key)) throw notFound();
  const args = { p_context: attributesOf(request), p_key: request.key, ...actor(context) };
  const { flags: [flag] } = await context.database.call("flags", args, EvaluatedFlags);
  if (flag === undefined) throw notFound();
  return { status: 200, body: flag };
}
