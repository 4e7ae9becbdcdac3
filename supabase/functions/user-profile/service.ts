import type { Answer, Context } from "../_shared/endpoint/context.ts";
import type { ProfilesDatabase } from "../_shared/database/profiles.ts";
import type { DeleteUserProfileResponse, UpdateUserProfileRequest, UserProfileResponse } from "./schema.ts";

/** Who the caller is, to us; the first question makes the account. */
export async function getUserProfile(
  _input: unknown,
  { caller, database }: Context<"user"> & { database: Pick<ProfilesDatabase, "readProfile"> },
): Promise<Answer<UserProfileResponse>> {
  const profile = await database.readProfile(caller.userId);
  return { status: 200, body: { ...profile, is_guest: caller.isAnonymous } };
}

/** Changes what the request names, and answers as a GET after it. */
export async function updateUserProfile(
  changes: UpdateUserProfileRequest,
  { caller, database }: Context<"user"> & { database: Pick<ProfilesDatabase, "updateProfile"> },
): Promise<Answer<UserProfileResponse>> {
  const profile = await database.updateProfile(caller.userId, changes);
  return { status: 200, body: { ...profile, is_guest: caller.isAnonymous } };
}

/** Closes the account. What is left to do is the worker's: running jobs, files, personal data. */
export async function deleteUserProfile(
  _input: unknown,
  { caller, database }: Context<"user"> & { database: Pick<ProfilesDatabase, "closeAccount"> },
): Promise<Answer<DeleteUserProfileResponse>> {
  return { status: 202, body: await database.closeAccount(caller.userId) };
}
