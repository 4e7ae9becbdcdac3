/** Writes errors to `ops.error_log`, after the answer. What cannot be written there is still in the log. */
import type { Runtime } from "../endpoint/context.ts";
import * as z from "zod/mini";
import { database } from "../database/call.ts";
import { codes, type ErrorCode, isServerFault } from "./error-codes.ts";
import { redactText, redactValue } from "../platform/redaction.ts";

export interface ErrorEntry {
  readonly code: ErrorCode;
  readonly endpoint: string;
  readonly userId: string | null;
  readonly requestId: string;
  /** What was thrown, or its cause. It is redacted here. */
  readonly error: unknown;
}

export interface ErrorLog {
  /** Never rejects. Errors that are the caller's own affair are not recorded. */
  record(entry: ErrorEntry): Promise<void>;
}

/** Of one isolate. An outage makes every request fail, and must not have each ask the database once more. */
const maxAtOnce = 4;

/**
 * The error log of an isolate. While several errors are on their way, and where the database is away, others are only
 * counted: the next of the same code that gets through brings their number along.
 */
export function createErrorLog(
  { config, log, fetch, now }: Pick<Runtime, "config" | "log" | "fetch" | "now">,
): ErrorLog {
  const uncounted = new Map<ErrorCode, number>();
  let underWay = 0;
  return {
    async record({ code, endpoint, userId, requestId, error }) {
      if (!isServerFault(code)) return;
      const count = 1 + (uncounted.get(code) ?? 0);
      uncounted.set(code, count);
      if (underWay >= maxAtOnce) return;
      uncounted.delete(code);
      underWay += 1;
      try {
        const nothing = () => {};
        const runtime = { config, log, requestId, fetch, now, beforeCall: nothing, report: nothing };
        await database({ ...runtime, onBreach: nothing }).call("record_error", {
          p_code: code,
          p_endpoint: endpoint,
          p_user_id: userId,
          p_request_id: redactText(requestId),
          p_context: JSON.parse(JSON.stringify({ error: redactValue("error", error) })),
          p_count: count,
        }, z.unknown());
      } catch (reason) {
        uncounted.set(code, count + (uncounted.get(code) ?? 0));
        // That the database is away has been said by the error itself.
        if (code !== codes["database/unavailable"]) {
          log.warn("error_not_recorded", { request_id: requestId, code, error: reason });
        }
      } finally {
        underWay -= 1;
      }
    },
  };
}
