import { admin, type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { AppError } from "../_shared/errors/app-error.ts";
import { codes } from "../_shared/errors/error-codes.ts";
import type { Config } from "../_shared/platform/config.ts";
import { within } from "../_shared/platform/platform-fetch.ts";
import { NotFetched, publicAddressesOf } from "../_shared/platform/public-fetch.ts";
import type { PublicWeb } from "../_shared/platform/public-web.ts";
import { malformed } from "../_shared/request/validation.ts";
import { Webhook, type WebhookWithSecret } from "../_shared/webhooks/contract.ts";
import { newSecret, sealSecret } from "../_shared/webhooks/secrets.ts";
import {
  type ChangeWebhookRequest,
  type ChangeWebhookResponse,
  type CreateWebhookRequest,
  DeletedWebhook,
  type DeleteWebhookQuery,
  type ListWebhooksQuery,
  WebhooksResponse,
} from "./schema.ts";

type AdminContext = Context<"admin"> & { database: Database };
type WritingContext = AdminContext & { webhookWeb: PublicWeb };

/** All webhooks, without their secrets. */
export async function listWebhooks(
  _query: ListWebhooksQuery,
  { caller, database }: AdminContext,
): Promise<Answer<WebhooksResponse>> {
  const args = { p_admin_id: caller.userId, p_session_id: caller.sessionId };
  return { status: 200, body: await database.call("get_admin_webhooks", args, WebhooksResponse) };
}

/**
 * Makes a webhook, and shows its secret this once. Throws ERR_4008 for a URL whose host is not public, ERR_4009 where there are
 * 20, and ERR_6004 where the functions have no key to seal secrets with.
 */
export async function createWebhook(
  request: CreateWebhookRequest,
  context: WritingContext,
): Promise<Answer<WebhookWithSecret>> {
  const key = sealingKey(context.config);
  await checkHost(request.url, context);
  const secret = newSecret();
  const id = crypto.randomUUID();
  const args = {
    ...fields(request),
    ...admin(context),
    p_webhook_id: id,
    p_sealed_secret: await sealSecret(key, id, secret),
  };
  const webhook = await context.database.call("post_admin_webhooks", args, Webhook);
  return { status: 201, body: { ...webhook, secret } };
}

/**
 * Changes what is given. Throws ERR_4007 for a webhook that is not there, ERR_4009 for one that is to be enabled while what waited
 * for it is still being dropped, and as createWebhook.
 */
export async function changeWebhook(
  { rotate_secret, ...request }: ChangeWebhookRequest,
  context: WritingContext,
): Promise<Answer<ChangeWebhookResponse>> {
  const secret = rotate_secret === true ? newSecret() : undefined;
  const sealed = secret === undefined
    ? undefined
    : await sealSecret(sealingKey(context.config), request.webhook_id, secret);
  if (request.url !== undefined) await checkHost(request.url, context);
  const args = { ...fields(request), ...admin(context), p_sealed_secret: sealed };
  const webhook = await context.database.call("patch_admin_webhooks", args, Webhook);
  return { status: 200, body: { ...webhook, ...(secret === undefined ? {} : { secret }) } };
}

/** Deletes a webhook; what waited for it is told to nobody. Throws ERR_4007 for one that is not there, or is gone. */
export async function deleteWebhook(
  query: DeleteWebhookQuery,
  context: AdminContext,
): Promise<Answer<never>> {
  await context.database.call(
    "delete_admin_webhooks",
    { ...fields(query), ...admin(context) },
    DeletedWebhook,
  );
  return { status: 204 };
}

function sealingKey({ webhooks }: Pick<Config, "webhooks">): string {
  if (webhooks.key !== null) return webhooks.key;
  throw new AppError(codes["feature/switched-off"], {
    details: { feature: "webhooks" },
    cause: new Error("OUTBOUND_WEBHOOK_KEY is not set"),
  });
}

/** A look-up takes some hundredths of a second; an admin waits for it. */
const lookUpMilliseconds = 3_000;

/**
 * Throws ERR_4008 for a host that is not public, so that whoever errs hears of it at once. It protects nobody: each attempt asks
 * again. A host of which nobody can tell anything now is taken.
 */
async function checkHost(url: string, context: WritingContext): Promise<void> {
  const { webhookWeb, config } = context;
  const { protocol, hostname } = new URL(url);
  if (protocol === "http:") {
    if (config.webhooks.mayBeLocal) return;
    throw malformed([{ path: "url", message: "Must be https" }]);
  }
  // No token says who is an admin, and whoever is none learns of no name where it leads.
  await listWebhooks({}, context);
  try {
    await within(lookUpMilliseconds, null, (signal) => publicAddressesOf(webhookWeb, hostname, signal));
  } catch (error) {
    if (error instanceof NotFetched) {
      throw malformed([{ path: "url", message: "Must lead to public addresses alone" }]);
    }
  }
}
