/** Webhooks made by hand, for what the simulated fal would never send, or not now. */
import type { Answer } from "./answer.ts";
import type { Backend, Guest } from "./backend.ts";
import { generate, requestOf, submissionIs } from "./videos.ts";

/** A video that fal has made, and of which it tells nobody. */
export interface Untold {
  guest: Guest;
  jobId: string;
  requestId: string;
  /** Where fal was told to report it. */
  url: URL;
}

/** Has the guest order such a video. */
export async function makeUntold(backend: Backend, guest: Guest, prompt: string): Promise<Untold> {
  const { control } = backend.stack.simulators.fal;
  await control.rules({ prompt, webhook: "lost" });
  const { job_id: jobId } = await generate(guest, prompt);
  await submissionIs(backend, jobId, "accepted");
  const report = await control.report();
  const requestId = requestOf(report, prompt);
  const job = report.jobs.find((each) => each.requestId === requestId);
  return { guest, jobId, requestId, url: new URL(String(job?.webhookUrl)) };
}

export interface Delivery {
  url: URL;
  body: string;
  headers: Record<string, string>;
}

export interface Signing {
  requestId: string;
  accountId?: string;
  /** Seconds since 1970. */
  timestamp?: number;
  key?: JsonWebKey;
}

/** The success of a request, signed as fal signs. */
export async function deliveryOf(
  backend: Backend,
  { url, requestId }: Untold,
  signing: Partial<Signing> = {},
  videoUrl = `${backend.stack.simulators.fal.mediaUrl}/files/${requestId}/output.mp4`,
): Promise<Delivery> {
  const payload = { video: { url: videoUrl } };
  const body = JSON.stringify({
    request_id: requestId,
    gateway_request_id: requestId,
    status: "OK",
    payload,
  });
  return { url, body, headers: await sign(backend, body, { requestId, ...signing }) };
}

/** The headers by which fal proves a body. */
export async function sign(
  backend: Backend,
  body: string,
  signing: Signing,
): Promise<Record<string, string>> {
  const {
    requestId,
    accountId = backend.keys.falAccountId,
    timestamp = Math.floor(Date.now() / 1000),
    key = backend.falSigningKey,
  } = signing;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(body));
  const message = [requestId, accountId, timestamp, hex(digest)].join("\n");
  const privateKey = await crypto.subtle.importKey("jwk", key, "Ed25519", false, ["sign"]);
  return {
    "content-type": "application/json",
    "x-fal-webhook-request-id": requestId,
    "x-fal-webhook-user-id": accountId,
    "x-fal-webhook-timestamp": `${timestamp}`,
    "x-fal-webhook-signature": hex(
      await crypto.subtle.sign("Ed25519", privateKey, new TextEncoder().encode(message)),
    ),
  };
}

function hex(bytes: ArrayBuffer): string {
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Sends it, as it is. */
export async function send(
  { stack, call }: Backend,
  { url, body, headers }: Delivery,
  method = "POST",
): Promise<Answer> {
  return await call(url.href.slice(`${stack.url}/functions/v1/`.length), {
    method,
    headers,
    ...(method === "POST" ? { body } : {}),
  });
}
