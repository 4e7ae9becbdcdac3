/** What OFREP, the protocol by which OpenFeature asks for flags, says of a failure. */
import type { AppError } from "../errors/app-error.ts";
import { codes } from "../errors/error-codes.ts";
import { errorMessage } from "../errors/error-messages.ts";
import type { Parameters } from "../endpoint/operation.ts";

/**
 * The members that OFREP's clients read, beside ours: of a single flag its key, OpenFeature's code, and in English what is wrong.
 */
export function ofrepError(error: AppError, { key }: Parameters): Record<string, string> {
  return {
    ...(key === undefined ? {} : { key }),
    errorCode: openFeatureCode(error),
    errorDetails: fieldsOf(error).map(({ path, message }) => path === "" ? message : `${path}: ${message}`)
      .join("; ") || errorMessage(error.code, "en", error.details),
  };
}

function openFeatureCode(error: AppError): string {
  switch (error.code) {
    case codes["resource/not-found"]:
      return "FLAG_NOT_FOUND";
    case codes["request/malformed"]:
      return fieldsOf(error).every(({ path }) => /^context\b/.test(path)) ? "INVALID_CONTEXT" : "PARSE_ERROR";
    case codes["request/not-json"]:
      return "PARSE_ERROR";
    default:
      return "GENERAL";
  }
}

interface Field {
  readonly path: string;
  readonly message: string;
}

function fieldsOf({ details: { fields } }: AppError): Field[] {
  if (!Array.isArray(fields)) return [];
  return fields.flatMap((field) =>
    typeof field === "object" && typeof field?.path === "string" && typeof field.message === "string"
      ? [{ path: field.path, message: field.message }]
      : []
  );
}
