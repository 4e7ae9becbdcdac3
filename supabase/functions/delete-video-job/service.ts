import * as z from "zod/mini";
import { actor, type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import type { DeleteVideoJobQuery } from "./schema.ts";

/** The job is gone for its user at once; a task removes its files, and the ledger keeps its entries. */
export async function deleteVideoJob(
  query: DeleteVideoJobQuery,
  context: Context<"user"> & { database: Database },
): Promise<Answer> {
  await context.database.call("delete_video_job", { ...fields(query), ...actor(context) }, z.unknown());
  return { status: 204 };
}
