import type { Answer, Context } from "../_shared/endpoint/context.ts";
import type { VideosDatabase } from "../_shared/database/videos.ts";
import type { DeleteVideoJobQuery } from "./schema.ts";

/** The job is gone for its user at once; a task removes its files, and the ledger keeps its entries. */
export async function deleteVideoJob(
  query: DeleteVideoJobQuery,
  context: Context<"user"> & { database: Pick<VideosDatabase, "deleteVideoJob"> },
): Promise<Answer> {
  await context.database.deleteVideoJob(context.caller.userId, query.job_id);
  return { status: 204 };
}
