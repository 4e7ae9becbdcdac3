import { type AccountExport, StoredExport } from "../_shared/accounts/contract.ts";
import { actor, type Database } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";

/** Asks for the file, once a day; the worker makes it, and the profile has its URL. */
export async function postUserExport(
  _input: unknown,
  context: Context<"user"> & { database: Database },
): Promise<Answer<AccountExport>> {
  const { path: _, ...asked } = await context.database.call("user_export", actor(context), StoredExport);
  return { status: 202, body: { ...asked, url: null } };
}
