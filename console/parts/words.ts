/** What is shown of an error. */
import { KinoraError } from "@kinora/client/admin";

/** What went wrong, and by what its request is found in the logs. */
export function wordsOf(error: unknown): string {
  if (!(error instanceof KinoraError)) return "Something went wrong in this page.";
  if (error.code === null) return "Kinora does not answer.";
  return `${error.message} (${error.code}${
    error.requestId === undefined ? "" : `, request ${error.requestId}`
  })`;
}
