/** What the fal simulator was asked, for tests that count and inspect it. */
import * as z from "zod";

export const falRequest = z.object({
  at: z.number(),
  host: z.enum(["queue", "media"]),
  method: z.string(),
  path: z.string(),
  /** Whose key came with it; the key itself is not kept. */
  authorization: z.enum(["ours", "other", "none"]),
  headers: z.record(z.string(), z.string()),
  body: z.unknown().optional(),
  /** Of the job that it made or was about. */
  requestId: z.string().nullable(),
  /** Null where the connection was closed instead. */
  status: z.number().nullable(),
});
export type FalRequest = z.infer<typeof falRequest>;

/** So that a simulator that runs for days does not grow. */
const maximumRequests = 1_000;

/** Whether a request carries the account's key. */
export function authorizationOf(request: Request, key: string): FalRequest["authorization"] {
  const value = request.headers.get("authorization");
  return value === null ? "none" : value === `Key ${key}` ? "ours" : "other";
}

/** Adds a request, and drops the oldest when there are too many. */
export function logRequest(
  log: FalRequest[],
  request: Request,
  key: string,
  seen: Pick<FalRequest, "host" | "body" | "requestId" | "status">,
): void {
  const { pathname, search } = new URL(request.url);
  const headers = Object.fromEntries(request.headers);
  delete headers.authorization;
  log.push({
    at: Date.now(),
    method: request.method,
    path: `${pathname}${search}`,
    authorization: authorizationOf(request, key),
    headers,
    ...seen,
  });
  if (log.length > maximumRequests) log.shift();
}
