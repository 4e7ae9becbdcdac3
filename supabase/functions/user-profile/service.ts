import { ClosedAccount, type Profile, StoredProfile } from "../_shared/accounts/contract.ts";
import { shownExport } from "../_shared/accounts/exports.ts";
import { actor, type Database } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import type { Storage } from "../_shared/platform/storage.ts";
import type { CloseAccountRequest, UpdateUserProfileRequest } from "./schema.ts";

type ProfileContext = Context<"user"> & { database: Database; storage: Pick<Storage, "sign"> };

/** The profile with what only the token and storage know. */
async function shown(profile: StoredProfile, context: ProfileContext): Promise<Profile> {
  return {
    ...profile,
    is_guest: context.caller.isAnonymous,
    export: profile.export && await shownExport(profile.export, context),
  };
}

/** Who the caller is, to us; the first question makes the account. */
export async function getUserProfile(_input: unknown, context: ProfileContext): Promise<Answer<Profile>> {
  const profile = await context.database.call("get_user_profile", actor(context), StoredProfile);
  return { status: 200, body: await shown(profile, context) };
}

/** Changes what the request names, and answers as a GET after it. */
export async function updateUserProfile(
  changes: UpdateUserProfileRequest,
  context: ProfileContext,
): Promise<Answer<Profile>> {
  const args = { ...actor(context), p_changes: changes };
  const profile = await context.database.call("patch_user_profile", args, StoredProfile);
  return { status: 200, body: await shown(profile, context) };
}

/** Closes the account. What is left to do is the worker's: running jobs, files, personal data, and to tell Apple. */
export async function deleteUserProfile(
  { apple_authorization_code }: CloseAccountRequest,
  context: Context<"user"> & { database: Database },
): Promise<Answer<ClosedAccount>> {
  const code = apple_authorization_code === undefined
    ? {}
    : { p_apple_authorization_code: apple_authorization_code };
  const args = { ...actor(context), ...code };
  return { status: 202, body: await context.database.call("delete_user_profile", args, ClosedAccount) };
}
