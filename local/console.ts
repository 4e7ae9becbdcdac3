/** The console of a local stack, and the admin who signs in there. */
import { createClient } from "@supabase/supabase-js";
import type { LocalSettings } from "../console/settings.ts";
import { totpCode } from "./platform/auth/factors.ts";
import { withConnection } from "./postgres/database.ts";
import type { Stack } from "./stack.ts";

type Admin = NonNullable<LocalSettings["admin"]>;

/** Makes an admin with a password and a second factor. */
export async function makeAdmin(
  { url, publishableKey, secretKey, databaseUrl }: Pick<
    Stack,
    "url" | "publishableKey" | "secretKey" | "databaseUrl"
  >,
): Promise<Admin & { id: string }> {
  const auth = { persistSession: false, autoRefreshToken: false };
  const credentials = {
    email: `admin-${crypto.randomUUID().slice(0, 4)}@kinora.local`,
    password: crypto.randomUUID(),
  };
  const operator = createClient(url, secretKey, { auth });
  await operator.auth.admin.createUser({ ...credentials, email_confirm: true });
  const { auth: own } = createClient(url, publishableKey, { auth });
  const { data, error } = await own.signInWithPassword(credentials);
  if (error !== null) throw error;
  const enrolled = await own.mfa.enroll({ factorType: "totp", friendlyName: "This machine" });
  if (enrolled.error !== null) throw enrolled.error;
  const { id: factorId, totp: { secret: totpSecret } } = enrolled.data;
  const proved = await own.mfa.challengeAndVerify({ factorId, code: totpCode(totpSecret, Date.now()) });
  if (proved.error !== null) throw proved.error;
  await withConnection(databaseUrl, (sql) => sql`select ops.make_admin(${data.user.id})`);
  return { ...credentials, totpSecret, id: data.user.id };
}

/** The admin of the stack whose data is in `directory`: made at its first start, and where the database does not know them. */
export async function keptAdmin(stack: Stack, directory: string): Promise<Admin> {
  const file = `${directory}/admin.json`;
  const kept = await readAdmin(file);
  if (kept !== null && await isKnown(stack, kept)) return kept;
  const admin = await makeAdmin(stack);
  // Whole, or not there.
  await Deno.writeTextFile(`${file}.new`, JSON.stringify(admin, null, 2), { mode: 0o600 });
  await Deno.rename(`${file}.new`, file);
  return admin;
}

/** Null where there is none, or none that can be read. */
async function readAdmin(file: string): Promise<Admin | null> {
  try {
    return JSON.parse(await Deno.readTextFile(file));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound || error instanceof SyntaxError)) throw error;
    return null;
  }
}

async function isKnown({ url, publishableKey }: Stack, { email, password }: Admin): Promise<boolean> {
  const { auth } = createClient(url, publishableKey, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const { error } = await auth.signInWithPassword({ email, password });
  return error === null;
}

/** Serves the console that was built into `folder`, and gives its URL. `local` is what it may know of this machine. */
export async function openConsole(
  { url, publishableKey, gateway, simulators }: Pick<
    Stack,
    "url" | "publishableKey" | "gateway" | "simulators"
  >,
  folder: string,
  local: LocalSettings = {},
): Promise<string> {
  const settings = { url, publishableKey, local };
  await gateway.say({
    kind: "console",
    console: { folder, settings, appStoreUrl: simulators.appStore.url },
  });
  return `${url}/console/`;
}
