import { admin, type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { AdminModelsResponse, type ChangeModelRequest, ChangeModelResponse } from "./schema.ts";

type AdminContext = Context<"admin"> & { database: Database };

/** Every model in the operator's order, with its providers in the order in which they are asked. */
export async function listModels(
  _input: unknown,
  { caller, database }: AdminContext,
): Promise<Answer<AdminModelsResponse>> {
  const args = { p_admin_id: caller.userId, p_session_id: caller.sessionId };
  return { status: 200, body: await database.call("get_admin_models", args, AdminModelsResponse) };
}

/**
 * Offers a model or takes it away, for new videos at once. Clients see it in the catalogue within the
 * minute that an isolate remembers it.
 */
export async function changeModel(
  request: ChangeModelRequest,
  context: AdminContext,
): Promise<Answer<ChangeModelResponse>> {
  const args = { ...fields(request), ...admin(context) };
  return { status: 200, body: await context.database.call("patch_admin_models", args, ChangeModelResponse) };
}
