/** What APNs asks of a request, and in which words it says what is wrong with one. */
import type { IncomingHttpHeaders } from "node:http2";

export interface Refusal {
  readonly status: number;
  readonly reason: string;
}

const maxPayloadBytes = 4_096;
const pushTypes = ["alert", "background", "location", "voip", "complication", "fileprovider", "mdm"];
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** What is wrong with a request for the app with this topic; null for one that is right. */
export function faultOf(
  { headers, path, body, topic }: {
    headers: IncomingHttpHeaders;
    path: string;
    body: Uint8Array;
    topic: string;
  },
): Refusal | null {
  const header = (name: string) => headers[name] === undefined ? null : String(headers[name]);
  const bad = (reason: string, status = 400): Refusal => ({ status, reason });
  if (headers[":method"] !== "POST") return bad("MethodNotAllowed", 405);
  const token = /^\/3\/device\/([^/]*)$/.exec(path)?.[1];
  if (token === undefined) return bad("BadPath", 404);
  if (token === "") return bad("MissingDeviceToken");
  if (!/^[0-9a-f]+$/i.test(token)) return bad("BadDeviceToken");
  if (header("apns-topic") === null) return bad("MissingTopic");
  if (header("apns-topic") !== topic) return bad("TopicDisallowed");
  if (!pushTypes.includes(header("apns-push-type") ?? "")) return bad("InvalidPushType");
  if (!["10", "5", "1"].includes(header("apns-priority") ?? "10")) return bad("BadPriority");
  if (!/^\d{1,10}$/.test(header("apns-expiration") ?? "0")) return bad("BadExpirationDate");
  if (!uuid.test(header("apns-id") ?? crypto.randomUUID())) return bad("BadMessageId");
  if (new TextEncoder().encode(header("apns-collapse-id") ?? "").length > 64) return bad("BadCollapseId");
  if (body.length === 0) return bad("PayloadEmpty");
  if (body.length > maxPayloadBytes) return bad("PayloadTooLarge", 413);
  try {
    const payload = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
    if (typeof payload?.aps !== "object" || payload.aps === null) return bad("BadPayload");
  } catch {
    return bad("BadPayload");
  }
  return null;
}
