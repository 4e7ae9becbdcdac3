/** `client/src/error-codes.ts`: what the client package needs of the registry of errors. */
import { errorCodes } from "../../supabase/functions/_shared/errors/error-codes.ts";

export const clientErrorsFile = new URL("../../client/src/error-codes.ts", import.meta.url);

/** What an app does next after each error, as a module of TypeScript. */
export function clientErrors(): string {
  const actions = Object.entries(errorCodes).map(([code, { action }]) => `  ${code}: "${action}",\n`);
  return `// Made from the registry in supabase/functions/_shared/errors/error-codes.ts by \`deno task generate\`.

/** What an app does next after each error. */
export const actions = {
${actions.join("")}} as const;
`;
}
