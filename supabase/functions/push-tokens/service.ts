import * as z from "zod/mini";
import { actor, type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import type { PushTokensQuery, PushTokensRequest } from "./schema.ts";

type PushTokensContext = Context<"user"> & { database: Database };

/** From now on the device is told what happens to the caller, and nobody else's news. */
export async function registerToken(
  request: PushTokensRequest,
  context: PushTokensContext,
): Promise<Answer> {
  await context.database.call("post_push_tokens", { ...fields(request), ...actor(context) }, z.unknown());
  return { status: 204 };
}

/** The device is told nothing any more, where it was the caller's. */
export async function removeToken(query: PushTokensQuery, context: PushTokensContext): Promise<Answer> {
  await context.database.call("delete_push_tokens", { ...fields(query), ...actor(context) }, z.unknown());
  return { status: 204 };
}
