import { type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { TakedownNotice } from "../_shared/safety/contract.ts";
import type { TakedownNoticesRequest } from "./schema.ts";

/** Notes what anybody says about a video; the same again answers the first. Throws ERR_4007 where there is none. */
export async function receiveNotice(
  request: TakedownNoticesRequest,
  { database, network }: Context<"public"> & { database: Database },
): Promise<Answer<TakedownNotice>> {
  const args = { ...fields(request), p_network: network };
  return { status: 202, body: await database.call("takedown_notices", args, TakedownNotice) };
}
