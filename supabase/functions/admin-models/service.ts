import { admin, type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { type ChangeModelRequest, ChangeModelResponse } from "./schema.ts";

/**
 * Offers a model or takes it away, for new videos at once. Clients see it in the catalogue within the
 * minute that an isolate remembers it.
 */
export async function changeModel(
  request: ChangeModelRequest,
  context: Context<"admin"> & { database: Database },
): Promise<Answer<ChangeModelResponse>> {
  const args = { ...fields(request), ...admin(context) };
  return { status: 200, body: await context.database.call("admin_models", args, ChangeModelResponse) };
}
