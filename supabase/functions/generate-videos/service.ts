import { actor, fields, keyed } from "../_shared/database/call.ts";
import type { Answer, Context, Keyed } from "../_shared/endpoint/context.ts";
import { errorMessage } from "../_shared/errors/error-messages.ts";
import { shownDetails } from "../_shared/errors/error-response.ts";
import { moderatorOf } from "../_shared/videos/moderation/moderation.ts";
import { type SubmitContext, submitVideo } from "../_shared/videos/submit.ts";
import { AcceptedVideos, type GenerateVideosRequest, type GenerateVideosResponse } from "./schema.ts";

/**
 * Accepts the videos in one transaction, which also writes the tasks that submit them. The first is submitted at once, as a
 * single one is; the others wait for the worker, which lets other users' videos go between them.
 */
export async function generateVideos(
  request: GenerateVideosRequest,
  context: Context<"user"> & Keyed & SubmitContext,
): Promise<Answer<GenerateVideosResponse>> {
  const { database, network, requestId, config, providers } = context;
  const { results, ...credits } = await database.call("generate_videos", {
    ...fields(request),
    ...actor(context),
    ...keyed(context),
    p_network: network,
    p_request_id: requestId,
    // Those that this deployment has keys for. Without the secret nothing is sent to anybody.
    p_providers: config.webhookSecret === null ? [] : providers.names,
    p_moderated_by: moderatorOf(config),
  }, AcceptedVideos);
  const first = results.find((result) => "job_id" in result);
  // What an address leads to, the worker fetches.
  if (first !== undefined && request.items[first.index]?.image_url === undefined) {
    context.waitUntil(() => submitVideo(first.job_id, context));
  }
  const language = context.answerLanguage();
  return {
    status: 202,
    body: {
      results: results.map((result) => {
        if ("job_id" in result) return result;
        const { index, error: { code } } = result;
        const details = shownDetails(code, result.error.details);
        return { index, error: { code, message: errorMessage(code, language, details), details } };
      }),
      ...credits,
    },
  };
}
