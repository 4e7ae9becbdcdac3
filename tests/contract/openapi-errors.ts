/** An example of each error. */
import { type ErrorCode, errorCodes } from "../../supabase/functions/_shared/errors/error-codes.ts";
import { errorMessage } from "../../supabase/functions/_shared/errors/error-messages.ts";
import { exampleRequestId, type Schema } from "./openapi-components.ts";

export function detailsOf(code: ErrorCode): readonly string[] {
  return errorCodes[code].details;
}

/** One value for each key of details that the registry knows. */
const exampleDetails: Record<string, unknown> = {
  required: 4,
  available: 1,
  model_id: "3f1c2a52-6a1c-4a58-9d0e-6a2f8f1b7c11",
  reason: "policy",
  policy: "video_generation",
  retry_after: 1820,
  fields: [{ path: "settings.duration_seconds", message: "Must be a whole number" }],
  status: "completed",
  limit_bytes: 262144,
  feature: "video_generation",
};

/** The reasons and waits that differ from code to code. */
const exampleExceptions: Partial<Record<ErrorCode, Record<string, unknown>>> = {
  ERR_4012: { retry_after: 1 },
  ERR_4016: { reason: "other_account" },
  ERR_5003: { reason: "rejected" },
  ERR_6001: { retry_after: 2 },
  ERR_6004: { retry_after: 300 },
};

/** What whoever fails so is answered. */
export function exampleError(code: ErrorCode): Schema {
  const details = Object.fromEntries(
    detailsOf(code).map((key) => {
      if (!Object.hasOwn(exampleDetails, key)) {
        throw new Error(
          `details.${key} of ${code}: write an example of it into exampleDetails of openapi-errors.ts`,
        );
      }
      return [key, exampleExceptions[code]?.[key] ?? exampleDetails[key]];
    }),
  );
  return {
    error: {
      code,
      message: errorMessage(code, "en", details),
      details,
      request_id: exampleRequestId,
    },
  };
}
