import { actor, type Database } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { type DeleteSessionsQuery, DeleteSessionsResponse, GetSessionsResponse } from "./schema.ts";

type SessionsContext = Context<"user"> & { database: Database };

/** Where the caller is signed in. */
export async function getSessions(
  _input: unknown,
  context: SessionsContext,
): Promise<Answer<GetSessionsResponse>> {
  return {
    status: 200,
    body: await context.database.call("get_sessions", actor(context), GetSessionsResponse),
  };
}

/** Ends the session that is named, or all but the caller's own. */
export async function deleteSessions(
  { session_id }: DeleteSessionsQuery,
  context: SessionsContext,
): Promise<Answer<DeleteSessionsResponse>> {
  const args = { ...actor(context), p_ended_session_id: session_id ?? null };
  const body = await context.database.call("delete_sessions", args, DeleteSessionsResponse);
  return session_id === undefined ? { status: 200, body } : { status: 204 };
}
