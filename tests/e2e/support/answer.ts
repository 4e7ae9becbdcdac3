/** An answer of an endpoint, read as a client reads it. */
import assert from "node:assert/strict";
import * as z from "zod";
import {
  type ErrorCode,
  errorCodes,
  isErrorCode,
  itemDetail,
} from "../../../supabase/functions/_shared/errors/error-codes.ts";
import { errorMessage } from "../../../supabase/functions/_shared/errors/error-messages.ts";
import { detailsSchema, fieldErrorSchema } from "../../contract/openapi-errors.ts";
import { withoutReferences } from "../../contract/openapi-schemas.ts";
import { isLanguage } from "../../../supabase/functions/_shared/errors/languages.ts";

/** What the details of errors refer to. */
const components = { schemas: { FieldError: fieldErrorSchema } };

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** The parsed JSON, or a text that says that it is one; null where there is no body. */
  readonly body: unknown;
}

/** The body of every error, and nothing beside it but what OFREP asks for. */
const errorBody = z.strictObject({
  key: z.string().optional(),
  errorCode: z.string().optional(),
  errorDetails: z.string().optional(),
  error: z.strictObject({
    code: z.string().regex(/^ERR_\d{4}$/),
    message: z.string().min(1),
    details: z.record(z.string(), z.unknown()),
    request_id: z.string().regex(/^[A-Za-z0-9._-]{8,64}$/),
  }),
});
export type ErrorBody = z.infer<typeof errorBody>["error"];

export async function readAnswer(response: Response): Promise<Answer> {
  const text = await response.text();
  const isText = response.headers.get("content-type")?.startsWith("text/") === true;
  return {
    status: response.status,
    headers: response.headers,
    body: text === "" ? null : isText ? text : JSON.parse(text),
  };
}

/** The error of an answer, which must be one with this code. */
export function errorOf(answer: Answer, code?: string): ErrorBody {
  const parsed = errorBody.safeParse(answer.body);
  assert(parsed.success, `Not an error of ours: ${answer.status} ${JSON.stringify(answer.body)}`);
  if (code !== undefined) assert.equal(parsed.data.error.code, code, JSON.stringify(parsed.data.error));
  return parsed.data.error;
}

/**
 * The answer must be an error of the registry, this one where it is said: its status, its details' keys, and its message
 * in the language that it names.
 */
export function assertError(answer: Answer, code: ErrorCode | null, what: string): ErrorBody {
  const error = errorOf(answer, code ?? undefined);
  const language = answer.headers.get("content-language");
  assert(isErrorCode(error.code) && isLanguage(language), `${what}: ${JSON.stringify(error)} in ${language}`);
  const { status, details } = errorCodes[error.code];
  const typed = z.fromJSONSchema(withoutReferences({ components }, detailsSchema(error.code)));
  assert.deepEqual(
    typed.safeParse(error.details).error?.issues ?? [],
    [],
    `${what}: ${JSON.stringify(error)}`,
  );
  assert.deepEqual(
    {
      what,
      status: answer.status,
      message: error.message,
      id: error.request_id,
      keys: Object.keys(error.details).filter((key) => key !== itemDetail).sort(),
      type: answer.headers.get("content-type"),
    },
    {
      what,
      status,
      message: errorMessage(error.code, language, error.details),
      id: answer.headers.get("x-request-id"),
      keys: details.toSorted(),
      type: "application/json",
    },
  );
  return error;
}

/** The body of an answer, which must have this status and fit the schema. */
export function bodyOf<Schema extends z.core.$ZodType>(
  answer: Answer,
  status: number,
  schema: Schema,
): z.output<Schema> {
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  return z.parse(schema, answer.body);
}
