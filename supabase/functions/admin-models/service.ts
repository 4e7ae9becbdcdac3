import type { Answer, Context } from "../_shared/endpoint/context.ts";
import type { AdminDatabase } from "../_shared/database/admin.ts";
import type { ChangeModelRequest, ChangeModelResponse } from "./schema.ts";

/**
 * Offers a model or takes it away, for new videos at once. Clients see it in the catalogue within the
 * minute that an isolate remembers it.
 */
export async function changeModel(
  request: ChangeModelRequest,
  context: Context<"admin"> & { database: Pick<AdminDatabase, "changeModel"> },
): Promise<Answer<ChangeModelResponse>> {
  const model = await context.database.changeModel({
    adminId: context.caller.userId,
    requestId: context.requestId,
    modelId: request.model_id,
    isAvailable: request.is_available,
    reason: request.reason,
  });
  return { status: 200, body: model };
}
