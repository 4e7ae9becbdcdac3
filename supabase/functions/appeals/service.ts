import { actor, type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { Appeal } from "../_shared/safety/contract.ts";
import type { AppealsRequest } from "./schema.ts";

/**
 * Notes what the user of a removed video says against it; the same words again are the same appeal. Throws ERR_4007 where it is not
 * theirs, and ERR_4009 where nothing was removed, or they have objected already.
 */
export async function appealRemoval(
  request: AppealsRequest,
  context: Context<"user"> & { database: Database },
): Promise<Answer<Appeal>> {
  const args = { ...fields(request), ...actor(context) };
  return { status: 202, body: await context.database.call("appeals", args, Appeal) };
}
