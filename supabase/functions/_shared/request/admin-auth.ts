import { codes } from "../errors/error-codes.ts";
import { AppError } from "../errors/app-error.ts";
import type { SupabaseConfig } from "../platform/config.ts";
import type { UserCaller } from "../endpoint/context.ts";

/**
 * The caller, as far as their token may be an admin's: no guest's, and with a second factor where the configuration
 * asks for it. Whether the user is an admin, no token says: every procedure of an admin asks it in the database
 * (`ops.admit_admin`). Throws ERR_4006.
 */
export function requireAdmin(
  caller: UserCaller,
  { adminAssuranceLevel }: Pick<SupabaseConfig, "adminAssuranceLevel">,
): UserCaller {
  if (caller.isAnonymous) {
    throw new AppError(codes["auth/forbidden"], { cause: "A guest cannot be an admin" });
  }
  if (adminAssuranceLevel === "aal2" && caller.assuranceLevel !== "aal2") {
    throw new AppError(codes["auth/forbidden"], { cause: "An admin needs a second factor" });
  }
  return caller;
}
