import { admin, type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { Flag } from "../_shared/ops/contract.ts";
import { AdminFlags, type ChangeFlagRequest } from "./schema.ts";

type AdminContext = Context<"admin"> & { database: Database };

/** Every flag, by its key. */
export async function listFlags(_input: unknown, context: AdminContext): Promise<Answer<AdminFlags>> {
  const { p_admin_id, p_session_id } = admin(context);
  return {
    status: 200,
    body: await context.database.call("get_admin_flags", { p_admin_id, p_session_id }, AdminFlags),
  };
}

/** Changes what is named of a flag, for whoever asks from then on, and answers it as it is then. */
export async function changeFlag(
  request: ChangeFlagRequest,
  context: AdminContext,
): Promise<Answer<Flag>> {
  const args = { ...fields(request), ...admin(context) };
  return { status: 200, body: await context.database.call("patch_admin_flags", args, Flag) };
}
