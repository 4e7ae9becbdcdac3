/** What a simulated provider was asked, for tests that count and inspect it. */
import * as z from "zod";

export const providerRequest = z.object({
  at: z.number(),
  /** fal calls its API a queue. */
  host: z.enum(["queue", "api", "media"]),
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
export type ProviderRequest = z.infer<typeof providerRequest>;

/** So that a simulator that runs for days does not grow. */
const maxRequests = 1_000;

/** Whether a request carries the account's key: the Authorization header that is expected. */
export function authorizationOf(request: Request, expected: string): ProviderRequest["authorization"] {
  const value = request.headers.get("authorization");
  return value === null ? "none" : value === expected ? "ours" : "other";
}

/** Adds a request, and drops the oldest when there are too many. */
export function keepRequest<Entry>(log: Entry[], entry: Entry): Entry {
  log.push(entry);
  if (log.length > maxRequests) log.shift();
  return entry;
}

/** Adds a request as it arrives. What it gives is completed when it is answered. */
export function logRequest(
  log: ProviderRequest[],
  request: Request,
  expected: string,
  seen: Pick<ProviderRequest, "host" | "body">,
): ProviderRequest {
  const { pathname, search } = new URL(request.url);
  const headers = Object.fromEntries(request.headers);
  delete headers.authorization;
  return keepRequest(log, {
    at: Date.now(),
    method: request.method,
    path: `${pathname}${search}`,
    authorization: authorizationOf(request, expected),
    headers,
    ...seen,
    requestId: null,
    status: null,
  });
}
