/** Who is signed in, and how far: a password, a second factor, and whether the API takes them for an admin. */
import { signal } from "@preact/signals";
import { createClient, isAuthRetryableFetchError, type SupabaseClient } from "@supabase/supabase-js";
import { KinoraAdmin, KinoraError } from "@kinora/client/admin";
import { wordsOf } from "../parts/words.ts";
import type { Settings } from "../settings.ts";

export type Session =
  | { readonly at: "start" }
  | { readonly at: "sign-in"; readonly why?: string }
  | { readonly at: "second-factor"; readonly factors: readonly Factor[]; readonly email: string }
  | {
    readonly at: "refused";
    readonly email: string;
    readonly why: "no second factor" | "no admin" | "banned";
  }
  | { readonly at: "unreachable"; readonly why: string }
  | { readonly at: "admin"; readonly email: string };

/** An authenticator app, by the name that its user has given it, if any. */
export interface Factor {
  readonly id: string;
  readonly friendly_name?: string;
}

export const session = signal<Session>({ at: "start" });

/** Milliseconds for a call: whoever looks at a page would rather be told, and try again. */
const timeout = 10_000;

interface Project {
  readonly settings: Settings;
  readonly supabase: SupabaseClient;
  readonly admin: KinoraAdmin;
}
let project: Project | undefined;

function opened(): Project {
  if (project === undefined) throw new Error("The settings were not read yet");
  return project;
}

/** For once, before anything else of this file. Takes up the session of this tab, if it has one. */
export function start(settings: Settings): void {
  const supabase = createClient(settings.url, settings.publishableKey, {
    // Ends with the tab: an operator's computer may be somebody else's tomorrow.
    auth: { storage: sessionStorage, storageKey: "kinora.console", detectSessionInUrl: false },
  });
  project = { settings, supabase, admin: new KinoraAdmin(supabase, { language: "en" }) };
  supabase.auth.onAuthStateChange((event) => {
    if (event === "SIGNED_OUT" && session.value.at !== "sign-in") leave("The session has ended");
  });
  void goOn();
}

export function settings(): Settings {
  return opened().settings;
}

/** Shows what there is to do next for whoever has signed in. */
export async function goOn(): Promise<void> {
  const { supabase, admin } = opened();
  const { data: { session: current }, error } = await supabase.auth.getSession();
  if (current === null) return stop(error);
  const email = current.user.email ?? "";
  const { data: level } = await supabase.auth.mfa.getAuthenticatorAssuranceLevel();
  if (level?.currentLevel !== "aal2") {
    const { data: factors, error } = await supabase.auth.mfa.listFactors();
    if (error !== null) return stop(error);
    session.value = factors.totp.length === 0
      ? { at: "refused", email, why: "no second factor" }
      : { at: "second-factor", factors: factors.totp, email };
    return;
  }
  try {
    await admin.call("GET", "admin-limits", {}, { timeout });
    session.value = { at: "admin", email };
  } catch (error) {
    if (isEnd(error)) leave("The session has ended");
    else if (isRefusal(error)) {
      session.value = { at: "refused", email, why: error.code === "ERR_4017" ? "banned" : "no admin" };
    } else session.value = { at: "unreachable", why: wordsOf(error) };
  }
}

/** Gives what went wrong, in words; null where it did not. */
export async function signIn(email: string, password: string): Promise<string | null> {
  const { error } = await opened().supabase.auth.signInWithPassword({ email, password });
  if (error !== null) return error.message;
  await goOn();
  return null;
}

/** Gives what went wrong, in words; null where it did not. */
export async function proveSecondFactor(factorId: string, code: string): Promise<string | null> {
  const { error } = await opened().supabase.auth.mfa.challengeAndVerify({ factorId, code });
  if (error !== null) return error.message;
  await goOn();
  return null;
}

/** Forgets the session, here and, where it can be reached, at the project. */
export async function signOut(): Promise<void> {
  session.value = { at: "sign-in" };
  await opened().supabase.auth.signOut({ scope: "local" });
}

/** Shows why whoever wants to sign in gets no further: Auth cannot be reached, or there is no session. */
function stop(error: unknown): void {
  if (isAuthRetryableFetchError(error)) session.value = { at: "unreachable", why: "Kinora does not answer." };
  else if (error !== null) leave("The session has ended");
  else session.value = { at: "sign-in" };
}

function leave(why: string): void {
  session.value = { at: "sign-in", why };
  void opened().supabase.auth.signOut({ scope: "local" });
}

const isEnd = (error: unknown) => error instanceof KinoraError && error.status === 401;
/** Of the admin, and not of what they asked for. */
const isRefusal = (error: unknown): error is KinoraError =>
  error instanceof KinoraError && (error.code === "ERR_4006" || error.code === "ERR_4017");

/** As `call` of KinoraAdmin. Where the session has ended, or whose it is is no admin any more, that is shown at once. */
export const call: KinoraAdmin["call"] = async (method, endpoint, ...rest) => {
  const [request, options] = rest as [never, object?];
  try {
    return await opened().admin.call(method, endpoint, ...[request, { timeout, ...options }] as never);
  } catch (error) {
    if (isEnd(error)) leave("The session has ended");
    else if (isRefusal(error)) await goOn();
    throw error;
  }
};
