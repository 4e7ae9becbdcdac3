import { actor, type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { type ProductsQuery, ProductsResponse } from "./schema.ts";

/** To be written: what it promises. */
export async function getProducts(
  query: ProductsQuery,
  context: Context<"user"> & { database: Database },
): Promise<Answer<ProductsResponse>> {
  const args = { ...fields(query), ...actor(context) };
  return { status: 200, body: await context.database.call("products", args, ProductsResponse) };
}
