import { actor, type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import {
  type GetPurchasesQuery,
  GetPurchasesResponse,
  type PostPurchasesRequest,
  PostPurchasesResponse,
} from "./schema.ts";

/** To be written: what it promises. */
export async function getPurchases(
  query: GetPurchasesQuery,
  context: Context<"user"> & { database: Database },
): Promise<Answer<GetPurchasesResponse>> {
  const args = { ...fields(query), ...actor(context) };
  return { status: 200, body: await context.database.call("get_purchases", args, GetPurchasesResponse) };
}

/** To be written: what it promises. */
export async function postPurchases(
  request: PostPurchasesRequest,
  context: Context<"user"> & { database: Database },
): Promise<Answer<PostPurchasesResponse>> {
  const args = { ...fields(request), ...actor(context) };
  return { status: 200, body: await context.database.call("post_purchases", args, PostPurchasesResponse) };
}
