/**
 * The roles of a hosted project that log in, and how.
 */

/**
 * The role that stands for a hosted project's `postgres`: it owns the database, runs the migrations, and is no superuser.
 * It has another name because that one is usually the superuser's on a server that is not Supabase's.
 */
export const owner = "kinora_owner";

/** The owner and the platform's services. All of them have the superuser's password. */
export const loginRoles = [
  owner,
  "authenticator",
  "supabase_auth_admin",
  "supabase_storage_admin",
  "supabase_realtime_admin",
] as const;

export type LoginRole = typeof loginRoles[number];

/** The URL of the same database for another role. */
export function loginAs(role: LoginRole, url: string): string {
  const own = new URL(url);
  own.username = role;
  return own.href;
}
