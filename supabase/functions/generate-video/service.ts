import { actor, fields, keyed } from "../_shared/database/call.ts";
import type { Answer, Context, Keyed } from "../_shared/endpoint/context.ts";
import { AcceptedVideo } from "../_shared/videos/contract.ts";
import { moderatorOf } from "../_shared/videos/moderation/moderation.ts";
import { type SubmitContext, submitVideo } from "../_shared/videos/submit.ts";
import { type GenerateVideoRequest, isPromptAlone } from "./schema.ts";

/**
 * Accepts the video in one transaction, which also writes the task that submits it. Submitting at once only makes it
 * fast: should it not happen, the worker does it.
 */
export async function generateVideo(
  request: GenerateVideoRequest,
  context: Context<"user"> & Keyed & SubmitContext,
): Promise<Answer<AcceptedVideo>> {
  const { database, network, requestId, config, providers } = context;
  const accepted = await database.call("generate_video", {
    ...fields(request),
    ...actor(context),
    ...keyed(context),
    p_network: network,
    p_request_id: requestId,
    // Those that this deployment has keys for. Without the secret nothing is sent to anybody.
    p_providers: config.webhookSecret === null ? [] : providers.names,
    p_moderated_by: moderatorOf(config),
  }, AcceptedVideo);
  // The prompt of a first request is not asked for again; whether that of a replay was let pass, the database knows.
  const prompt = context.idempotency.isReplay() || !isPromptAlone(request) ? undefined : request.prompt;
  // What an address leads to, the worker fetches.
  if (request.image_url === undefined) {
    context.waitUntil(() => submitVideo(accepted.job_id, context, { prompt }));
  }
  return {
    status: 202,
    body: accepted,
    headers: { Location: `${config.publicFunctionsUrl}/video-status?job_id=${accepted.job_id}` },
  };
}
