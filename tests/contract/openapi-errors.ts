/** An example of each error. */
import {
  type ErrorCode,
  errorCodes,
  isErrorCode,
  itemDetail,
} from "../../supabase/functions/_shared/errors/error-codes.ts";
import { errorMessage } from "../../supabase/functions/_shared/errors/error-messages.ts";
import { purchaseRefusals } from "../../supabase/functions/_shared/purchases/contract.ts";
import { grounds } from "../../supabase/functions/_shared/safety/contract.ts";
import { unusableReasons } from "../../supabase/functions/_shared/videos/images/picture.ts";
import { exampleRequestId, reference, type Schema } from "./openapi-components.ts";

export function detailsOf(code: ErrorCode): readonly string[] {
  return errorCodes[code].details;
}

/** What each key of details holds that the registry knows. */
const detailSchemas: Record<string, Schema> = {
  required: { type: "integer", description: "Credits" },
  available: { type: "integer", description: "Credits" },
  model_id: { type: "string" },
  reason: { type: "string" },
  policy: { type: "string", description: "The limit that was met" },
  retry_after: { type: "integer", minimum: 1, description: "Seconds" },
  fields: { type: "array", items: reference("schemas", "FieldError") },
  status: { type: "string", description: "What it is in" },
  limit_bytes: { type: "integer" },
  processors: {
    type: "array",
    items: { type: "string" },
    description: "Who gets the prompt and the image, and must be accepted in the profile",
  },
  feature: { type: "string", description: "What is switched off" },
  used_bytes: { type: "integer" },
  quota_bytes: { type: "integer" },
  appeal: {
    type: "string",
    enum: ["possible", "open", "granted", "rejected", "none"],
    description: "Whether its user may object, or what became of that",
  },
};

/** The reasons that differ from code to code, where they are a closed list. */
const reasons: Partial<Record<ErrorCode, readonly string[]>> = {
  ERR_4003: ["policy", "provider_policy"],
  ERR_4016: purchaseRefusals,
  ERR_4019: unusableReasons,
  ERR_4022: grounds,
  ERR_5003: ["rejected", "invalid_result"],
};

/** The details of every error, by its code: what a client narrows them to. No answer has them all. */
export function errorDetailsSchema(): Schema {
  const codes = Object.keys(errorCodes).filter(isErrorCode).filter((code) => detailsOf(code).length > 0);
  return {
    type: "object",
    description:
      "What `error.details` holds, by `error.code`, where it holds anything. For generated clients: no answer is of it",
    required: codes,
    properties: Object.fromEntries(codes.map((code) => [code, detailsSchema(code)])),
  };
}

/** The details of one error. */
export function detailsSchema(code: ErrorCode): Schema {
  const keys = detailsOf(code);
  return {
    type: "object",
    required: keys,
    properties: {
      ...Object.fromEntries(keys.map((key) => {
        const known = key === "reason" ? reasons[code] : undefined;
        return [key, { ...valueOf(detailSchemas, code, key), ...(known ? { enum: known } : {}) }];
      })),
      [itemDetail]: { type: "integer", minimum: 0, description: "Of `generate-videos`: the item" },
    },
  };
}

/** Throws where nobody has said it. */
function valueOf<Value>(values: Record<string, Value>, code: ErrorCode, key: string): Value {
  const value = Object.hasOwn(values, key) ? values[key] : undefined;
  if (value !== undefined) return value;
  throw new Error(
    `details.${key} of ${code}: write its schema into detailSchemas, and an example into exampleDetails, of openapi-errors.ts`,
  );
}

/** One mistake of a request. */
export const fieldErrorSchema: Schema = {
  type: "object",
  required: ["path", "message"],
  properties: {
    path: { type: "string", description: "Where it is, as `settings.resolution`; empty for all of it" },
    message: { type: "string", description: "In English, for the developer" },
  },
};

/** One value for each key of details. */
const exampleDetails: Record<string, unknown> = {
  required: 4,
  available: 1,
  processors: ["fal", "openai"],
  model_id: "3f1c2a52-6a1c-4a58-9d0e-6a2f8f1b7c11",
  reason: "policy",
  policy: "video_generation",
  retry_after: 1820,
  fields: [{ path: "settings.duration_seconds", message: "Must be a whole number" }],
  status: "completed",
  limit_bytes: 262144,
  feature: "video_generation",
  used_bytes: 99_000_000,
  quota_bytes: 100_000_000,
  appeal: "possible",
};

/** The reasons and waits that differ from code to code. */
const exampleExceptions: Partial<Record<ErrorCode, Record<string, unknown>>> = {
  ERR_4012: { retry_after: 1 },
  ERR_4016: { reason: "other_account" },
  ERR_4019: { reason: "not_an_image" },
  ERR_4022: { reason: "real_person" },
  ERR_5003: { reason: "rejected" },
  ERR_6001: { retry_after: 2 },
  ERR_6004: { retry_after: 300 },
};

/** What whoever fails so is answered. */
export function exampleError(code: ErrorCode): Schema {
  const details = Object.fromEntries(
    detailsOf(code).map((
      key,
    ) => [key, exampleExceptions[code]?.[key] ?? valueOf(exampleDetails, code, key)]),
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
