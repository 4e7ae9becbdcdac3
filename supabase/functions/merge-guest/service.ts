import { type Merge, MergedGuest } from "../_shared/accounts/contract.ts";
import { actor, type Database } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { ownerOfToken } from "../_shared/request/caller.ts";
import { malformed } from "../_shared/request/validation.ts";
import type { MergeGuestRequest } from "./schema.ts";

/** Whoever has it has been the guest a moment ago: the app refreshes the guest's session before it asks. */
const freshMilliseconds = 5 * 60_000;

/** What the database says of a token as well, so that nobody learns what is wrong with it. */
const message = "Must be the access token of a guest whose session is alive, at most 5 minutes old";

/** Makes the guest of the token a part of the caller: credits, videos and keys change hands, once. */
export async function mergeGuest(
  { guest_token }: MergeGuestRequest,
  context: Context<"user"> & { database: Database },
): Promise<Answer<Merge>> {
  const guest = await ownerOfToken(guest_token, context.config.supabase);
  if (guest === null) throw malformed([{ path: "guest_token", message }]);
  const args = {
    ...actor(context),
    p_guest_id: guest.userId,
    p_guest_session_id: guest.sessionId,
    p_is_fresh: context.now() - guest.issuedAt <= freshMilliseconds,
  };
  return { status: 200, body: await context.database.call("merge_guest", args, MergedGuest) };
}
