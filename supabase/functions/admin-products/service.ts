import { admin, type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import {
  type AddProductRequest,
  AdminProduct,
  type ChangeProductRequest,
  ListProductsResponse,
} from "./schema.ts";

type AdminContext = Context<"admin"> & { database: Database };

/** All products, and what waits for one that is not there. */
export async function listProducts(
  _input: unknown,
  { caller, database }: AdminContext,
): Promise<Answer<ListProductsResponse>> {
  const args = { p_admin_id: caller.userId, p_session_id: caller.sessionId };
  return { status: 200, body: await database.call("get_admin_products", args, ListProductsResponse) };
}

/** Adds a product; what waits for it is credited within seconds. Throws ERR_4009 (`exists`) for an id that is there. */
export async function addProduct(
  request: AddProductRequest,
  context: AdminContext,
): Promise<Answer<AdminProduct>> {
  const args = { ...fields(request), ...admin(context) };
  return { status: 201, body: await context.database.call("post_admin_products", args, AdminProduct) };
}

/**
 * Changes what is given of a product; what was credited stays as it was. Clients see it within the minute that an isolate
 * remembers `products`. Throws ERR_4007 for a product that is not there.
 */
export async function changeProduct(
  request: ChangeProductRequest,
  context: AdminContext,
): Promise<Answer<AdminProduct>> {
  const args = { ...fields(request), ...admin(context) };
  return { status: 200, body: await context.database.call("patch_admin_products", args, AdminProduct) };
}
