import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { readCursor, writeCursor } from "../_shared/request/cursor.ts";
import type { CreditsDatabase } from "../_shared/database/credits.ts";
import { CreditsPosition, type CreditsQuery, type CreditsResponse } from "./schema.ts";

/** What the caller has now, with a page of the transactions that it came to. */
export async function listCredits(
  { limit, cursor }: CreditsQuery,
  { caller, database }: Context<"user"> & { database: Pick<CreditsDatabase, "listCredits"> },
): Promise<Answer<CreditsResponse>> {
  const after = readCursor(CreditsPosition, cursor);
  const { next, ...credits } = await database.listCredits(caller.userId, { limit, after });
  return { status: 200, body: { ...credits, next_cursor: writeCursor(next) } };
}
