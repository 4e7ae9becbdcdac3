/** Schema errors in the terms of the contract: all at once, in English, for the developer. */
import { codes } from "../errors/error-codes.ts";
import "./field-messages.ts";
import * as z from "zod/mini";
import { AppError } from "../errors/app-error.ts";

/** A field of a body that may be left out. Null is as if it were left out: many clients' encoders write it for what is absent. */
export function optional<Field extends z.ZodMiniType>(field: Field) {
  return z.optional(z.pipe(
    z.optional(z.nullable(field)),
    z.transform((value: z.output<Field> | null | undefined): z.output<Field> | undefined =>
      value ?? undefined
    ),
  ));
}

export interface FieldError {
  /** Such as `settings.duration_seconds` or `items[0].id`; empty for the whole. */
  readonly path: string;
  readonly message: string;
}

/** A body of 256 kB can hold tens of thousands of unknown fields; nobody reads so many errors. */
const maxFieldErrors = 100;

/** A malformed request, with what is wrong in it. */
export function malformed(fields: readonly FieldError[], cause?: unknown): AppError {
  const details = { fields: fields.slice(0, maxFieldErrors).map((field) => ({ ...field })) };
  return new AppError(codes["request/malformed"], cause === undefined ? { details } : { details, cause });
}

/** The value as its schema reads it. Throws ERR_4008 with everything that does not fit. */
export function validate<Schema extends z.ZodMiniType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw malformed(result.error.issues.flatMap(fieldErrors));
}

function fieldErrors(issue: z.core.$ZodIssue): FieldError[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ path: fieldPath([...issue.path, key]), message: "Unknown field" }));
  }
  return [{ path: fieldPath(issue.path), message: issue.message }];
}

function fieldPath(path: readonly PropertyKey[]): string {
  const text = path.map((part) => typeof part === "number" ? `[${part}]` : `.${String(part)}`).join("");
  // Names come from the caller and may be as long as the body.
  return text.replace(/^\./, "").slice(0, 200);
}
