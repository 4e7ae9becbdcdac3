/** What is shown of an error. */
import { KinoraError } from "@kinora/client/admin";

/** What went wrong, why, and by what its request is found in the logs. */
export function wordsOf(error: unknown): string {
  if (!(error instanceof KinoraError)) return "Something went wrong in this page.";
  if (error.code === null) return "Kinora does not answer.";
  return `${error.message}${whyOf(error)} (${error.code}${
    error.requestId === undefined ? "" : `, request ${error.requestId}`
  })`;
}

/** As wordsOf, of a change. */
export function wordsOfChange(error: unknown): string {
  if (!(error instanceof KinoraError)) return wordsOf(error);
  // Of one that says that its key was used, an earlier request may.
  const mayBeDone = error.mayBeDone || error.code === "ERR_4011";
  return mayBeDone ? `${wordsOf(error)} ${lookFirst}` : wordsOf(error);
}

export const lookFirst = "What was sent may have been done: close this, and look before you do it again.";

function whyOf(error: KinoraError): string {
  if (error.code === "ERR_4008") {
    return error.details.fields.map(({ path, message }) => ` ${path}: ${message}.`).join("");
  }
  return error.code === "ERR_4009" ? ` It is: ${error.details.status}.` : "";
}
