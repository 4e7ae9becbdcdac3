import { actor, type Database } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { ProductsResponse } from "./schema.ts";

/** What is sold, in the operator's order. What it costs, only the App Store knows. */
export async function listProducts(
  _input: unknown,
  context: Context<"user"> & { database: Database },
): Promise<Answer<ProductsResponse>> {
  return { status: 200, body: await context.database.call("products", actor(context), ProductsResponse) };
}
