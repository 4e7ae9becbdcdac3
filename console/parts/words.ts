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

function whyOf(error: KinoraError): string {
  if (error.code === "ERR_4008") {
    return error.details.fields.map(({ path, message }) => ` ${path}: ${message}.`).join("");
  }
  return error.code === "ERR_4009" ? ` It is: ${error.details.status}.` : "";
}
