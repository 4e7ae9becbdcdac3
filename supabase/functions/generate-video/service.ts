import type { Answer, Context, Keyed } from "../_shared/endpoint/context.ts";
import type { VideosDatabase } from "../_shared/database/videos.ts";
import { type SubmitContext, submitVideo } from "../_shared/videos/submit.ts";
import type { GenerateVideoRequest, GenerateVideoResponse } from "./schema.ts";

/**
 * Accepts the video in one transaction, which also writes the task that submits it. Submitting at once only makes it
 * fast: should it not happen, the worker does it.
 */
export async function generateVideo(
  request: GenerateVideoRequest,
  context: Context<"user"> & Keyed & SubmitContext & { database: Pick<VideosDatabase, "generateVideo"> },
): Promise<Answer<GenerateVideoResponse>> {
  const accepted = await context.database.generateVideo({
    userId: context.caller.userId,
    network: context.network,
    requestId: context.requestId,
    idempotency: context.idempotency,
    modelId: request.model_id,
    prompt: request.prompt,
    settings: request.settings,
    imageUrl: request.image_url ?? null,
    // Without the secret nothing is sent to anybody.
    providers: context.config.webhookSecret === null ? [] : context.providers.names,
  });
  context.waitUntil(() => submitVideo(accepted.job_id, context));
  return {
    status: 202,
    body: accepted,
    headers: { Location: `${context.config.publicFunctionsUrl}/video-status?job_id=${accepted.job_id}` },
  };
}
