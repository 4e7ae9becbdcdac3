/** The user's session, which supabase-js keeps and refreshes. What goes wrong with it must not cost a guest the account. */
import type { SupabaseClient } from "@supabase/supabase-js";
import { FailureOf, noAnswer } from "./errors.ts";

/** What the package needs of a supabase-js client, of whatever version and generated types. */
export interface Supabase {
  readonly auth: Pick<
    SupabaseClient["auth"],
    "getSession" | "refreshSession" | "signInAnonymously" | "signOut"
  >;
  readonly functions: Pick<SupabaseClient["functions"], "invoke">;
  /** With these four, `watch` listens. */
  readonly realtime?: Pick<SupabaseClient["realtime"], "setAuth" | "disconnect">;
  readonly channel?: SupabaseClient["channel"];
  readonly getChannels?: SupabaseClient["getChannels"];
  readonly removeChannel?: SupabaseClient["removeChannel"];
}

/** Whose a request is. */
export interface Session {
  readonly token: string;
  readonly userId: string;
  /** A guest has nothing but the session; others can sign in again. */
  readonly isGuest: boolean;
}

/** Null where nobody is signed in. Throws "no answer" where a session is there, and could not be refreshed now. */
export async function currentSession({ auth }: Supabase): Promise<Session | null> {
  const { data: { session }, error } = await auth.getSession();
  if (error !== null && !isOver(error)) throw noAnswer("The session was not refreshed", error);
  return session && {
    token: session.access_token,
    userId: session.user.id,
    isGuest: session.user.is_anonymous === true,
  };
}

/**
 * The session after one with this token was refused: what another tab or the background has refreshed meanwhile, else
 * refreshed now. Null where the session is over.
 */
export async function renewedSession(supabase: Supabase, refused: string): Promise<Session | null> {
  const current = await currentSession(supabase);
  if (current === null || current.token !== refused) return current;
  const { error } = await supabase.auth.refreshSession();
  if (error !== null && !isOver(error)) throw noAnswer("The session was not refreshed", error);
  // Where the refresh token was used already, whoever used it has stored the next.
  const renewed = await currentSession(supabase);
  return renewed?.token === refused ? null : renewed;
}

/** Signs up a guest. */
export async function signInAsGuest({ auth }: Supabase): Promise<void> {
  const { error } = await auth.signInAnonymously();
  if (error === null) return;
  if (!isOver(error)) throw noAnswer("Nobody was signed in", error);
  // Guests are switched off, or wanted with a captcha: for the operator, and no use to try again.
  throw new FailureOf({
    code: null,
    details: {},
    message: error.message,
    status: error.status ?? null,
    action: "stop",
    cause: error,
  });
}

/** Forgets a session that is over, here alone. */
export async function forgetSession({ auth }: Supabase): Promise<void> {
  await auth.signOut({ scope: "local" });
}

/** Whether Auth has refused, and will again. The rest is no network, too many requests, or a failure of its own. */
function isOver({ name, status }: { name: string; status?: number | undefined }): boolean {
  if (name === "AuthSessionMissingError") return true;
  return name === "AuthApiError" && status !== undefined && status < 500 && ![408, 425, 429].includes(status);
}

/**
 * A `fetch` for `createClient` (`global.fetch`), after which a refresh that Auth puts off does not end the session. Auth limits
 * refreshes by network, which thousands of phones may share; supabase-js takes a 429 for a refusal and forgets an expired
 * session, which is all that a guest has. It tries again after a 503.
 */
export function keepSession(send: typeof fetch = (...call) => fetch(...call)): typeof fetch {
  return async (input, init) => {
    const response = await send(input, init);
    const url = typeof input === "string" ? input : input instanceof URL ? input.href : input.url;
    if (response.status !== 429 || !url.includes("/auth/v1/token?grant_type=refresh_token")) return response;
    return new Response(await response.text(), { status: 503, headers: response.headers });
  };
}
