import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { actor, type Database } from "../_shared/database/call.ts";
import { moderatorOf } from "../_shared/videos/moderation/moderation.ts";
import { ModelsResponse } from "./schema.ts";

/** What can be generated now, in the operator's order. */
export async function listModels(
  _input: unknown,
  context: Context<"user"> & { database: Database },
): Promise<Answer<ModelsResponse>> {
  const args = { ...actor(context), p_moderated_by: moderatorOf(context.config) };
  return { status: 200, body: await context.database.call("models", args, ModelsResponse) };
}
