/** The procedures behind user-profile. */
import type { Port } from "../endpoint/context.ts";
import type { Language } from "../errors/languages.ts";
import { procedures } from "./procedures.ts";

export const themePreferences = ["system", "light", "dark"] as const;
export type ThemePreference = (typeof themePreferences)[number];

export interface Profile {
  user_id: string;
  display_name: string | null;
  /** The user's own, where they have chosen one. */
  language: Language | null;
  theme_preference: ThemePreference;
  credits_remaining: number;
  created_at: string;
}

/** What a user may change; a member that is not there stays as it is. */
export interface ProfileChanges {
  readonly display_name?: string | null | undefined;
  readonly language?: Language | undefined;
  readonly theme_preference?: ThemePreference | undefined;
}

export interface ClosedAccount {
  user_id: string;
  closed_at: string;
}

export interface ProfilesDatabase {
  /** Throws ERR_4004, 4005 and 4017. */
  readProfile(userId: string): Promise<Profile>;
  /** The profile after the change. Throws ERR_4004, 4005 and 4017. */
  updateProfile(userId: string, changes: ProfileChanges): Promise<Profile>;
  /** Once and for good. Throws ERR_4004, 4005 (closed already) and 4017. */
  closeAccount(userId: string): Promise<ClosedAccount>;
}

export const profiles: Port<ProfilesDatabase> = (runtime) => {
  const call = procedures(runtime);
  return {
    readProfile: (userId) => call("get_user_profile", { p_user_id: userId }),
    updateProfile: (userId, changes) =>
      call("patch_user_profile", { p_user_id: userId, p_changes: { ...changes } }),
    closeAccount: (userId) => call("delete_user_profile", { p_user_id: userId }),
  };
};
