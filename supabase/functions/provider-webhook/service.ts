import { codes } from "../_shared/errors/error-codes.ts";
import { AppError } from "../_shared/errors/app-error.ts";
import type { Config } from "../_shared/platform/config.ts";
import type { Answer, Context, SignedInput } from "../_shared/endpoint/context.ts";
import { fields } from "../_shared/database/call.ts";
import type { Task } from "../_shared/queue/task.ts";
import { reserveRoom, work } from "../_shared/queue/worker.ts";
import { inSql, ProviderEffect } from "../_shared/videos/procedures.ts";
import { type VideoTaskPorts, videoTasks } from "../_shared/videos/tasks.ts";
import { verifyWebhookToken } from "../_shared/videos/providers/webhook-token.ts";
import type { ProviderWebhookQuery, ProviderWebhookResponse } from "./schema.ts";

/** The token proves which submission the URL was made for, before anything of the body is read. Throws ERR_4005. */
export function admitProviderWebhook(
  { provider, submission_id, token }: ProviderWebhookQuery,
  { webhookSecret }: Pick<Config, "webhookSecret">,
): void {
  if (webhookSecret === null) {
    throw new AppError(codes["auth/unauthenticated"], { cause: "WEBHOOK_SECRET is not set" });
  }
  if (!verifyWebhookToken(webhookSecret, provider, submission_id, token)) {
    throw new AppError(codes["auth/unauthenticated"], { cause: "the token does not fit" });
  }
}

/**
 * Stores an event that is proved to be the provider's and about this submission, then goes on with the job. The
 * signature proves who sent the body, and from which account.
 */
export async function receiveProviderWebhook(
  { body, headers, query }: SignedInput<ProviderWebhookQuery>,
  context: Context<"signed"> & VideoTaskPorts,
): Promise<Answer<ProviderWebhookResponse>> {
  const { providers, database, config } = context;
  // Once more, for less than a hundredth of what storing costs: who stores events relies on nobody's having asked before.
  admitProviderWebhook(query, config);
  const { token: _, ...submission } = query;
  const { provider: name } = submission;
  const provider = providers.get(name);
  if (provider === null) {
    throw new AppError(codes["auth/unauthenticated"], { cause: `${name} is not configured` });
  }
  const verdict = await provider.verifyWebhook(body, headers, context.now());
  if (!verdict.valid) throw new AppError(codes["auth/unauthenticated"], { cause: verdict.reason });

  const { eventId, requestId, state } = verdict.event;
  const room = reserveRoom(videoTasks, context.now());
  let tasks: readonly Task[] = [];
  try {
    const { job_id, effect, ...claimed } = await database.call("provider_webhook", {
      ...fields(submission),
      p_event_id: eventId,
      p_request_id: requestId,
      p_state: inSql(state),
      p_without: room.without,
    }, ProviderEffect);
    context.log.info("provider_event", { job_id, provider: name, state: state.state, effect });
    ({ tasks } = claimed);
    if (tasks.length > 0) {
      context.waitUntil(() => work(context, videoTasks, { subject: job_id, tasks, room }));
    }
  } finally {
    if (tasks.length === 0) room.leave();
  }
  return { status: 200, body: { received: true } };
}
