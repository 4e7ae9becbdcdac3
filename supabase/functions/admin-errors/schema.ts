import * as z from "zod/mini";
import { requestIdForm } from "../_shared/endpoint/response-headers.ts";
import { pageQuery, positionTime } from "../_shared/request/cursor.ts";

const code = z.string().check(
  z.regex(/^ERR_[56]\d{3}$/, "Must be a code of the error log: ERR_5xxx or ERR_6xxx"),
);
const endpoint = z.string().check(
  z.regex(/^[a-z]([a-z-]{0,98}[a-z])?$/, "Must be the name of an endpoint, or tick"),
);

export const GetAdminErrorsQuery = z.strictObject({
  ...pageQuery,
  code: z.optional(code),
  endpoint: z.optional(endpoint),
  /** Of the answers with these errors. */
  status: z.optional(z.string().check(z.regex(/^5\d{2}$/, "Must be a status of the server's: 5xx"))),
  request_id: z.optional(z.string().check(z.regex(requestIdForm, "Must be a request_id of an answer"))),
});
export type GetAdminErrorsQuery = z.infer<typeof GetAdminErrorsQuery>;

const timestamp = z.iso.datetime({ precision: 3 });

/** A row of the error log: an error, and those of its minute, code and endpoint that have no row of their own. */
export const LoggedError = z.object({
  minute: timestamp,
  at: timestamp,
  code: z.string(),
  severity: z.enum(["info", "warn", "error", "critical"]),
  /** Or `tick`. */
  endpoint: z.string(),
  /** Which of the rows of its minute, code and endpoint. */
  place: z.int(),
  /** What was thrown said. */
  message: z.nullable(z.string()),
  /** What else is known of it, redacted. */
  context: z.looseObject({}),
  count: z.int().check(z.positive()),
  user_id: z.nullable(z.guid()),
  request_id: z.nullable(z.string()),
});
export type LoggedError = z.infer<typeof LoggedError>;

/** What a cursor holds: the last row that was shown. */
export const ErrorsPosition = z.strictObject({
  minute: positionTime,
  code,
  endpoint,
  place: z.int().check(z.minimum(0), z.maximum(100)),
});

/** A page as the database tells it, with where the next one begins; null at the end. */
export const ErrorsPage = z.object({
  errors: z.array(LoggedError),
  next: z.nullable(ErrorsPosition),
});
export type ErrorsPage = z.infer<typeof ErrorsPage>;

export const GetAdminErrorsResponse = z.object({
  errors: z.array(LoggedError),
  next_cursor: z.nullable(z.string()),
});
export type GetAdminErrorsResponse = z.infer<typeof GetAdminErrorsResponse>;
