import { actor, type Database } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { readCursor, writeCursor } from "../_shared/request/cursor.ts";
import { CreditsPage, CreditsPosition, type CreditsQuery, type CreditsResponse } from "./schema.ts";

/** What the caller has now, with a page of the transactions that it came to. */
export async function listCredits(
  { limit, cursor }: CreditsQuery,
  context: Context<"user"> & { database: Database },
): Promise<Answer<CreditsResponse>> {
  const args = { ...actor(context), p_limit: limit, p_after: readCursor(CreditsPosition, cursor) };
  const { next, ...credits } = await context.database.call("credits", args, CreditsPage);
  return { status: 200, body: { ...credits, next_cursor: writeCursor(next) } };
}
