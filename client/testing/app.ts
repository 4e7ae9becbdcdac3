/** An app's supabase-js client and its Kinora, whose network is a function of the test. */
import { createClient } from "@supabase/supabase-js";
import { keepSession, Kinora, type KinoraOptions } from "../src/kinora.ts";

/** What the network does with a request; the path is without `/functions/v1/` or `/auth/v1/`. */
export type Network = (path: string, request: Request) => Response | Promise<Response>;

/** Seconds that a session is good for. */
const lifetime = 3_600;

let users = 0;

/** A session as Auth gives it; its token is read by nobody. */
export function newSession(userId = `user-${++users}`) {
  const encode = (value: unknown) => btoa(JSON.stringify(value)).replaceAll("=", "");
  const expires_at = Math.floor(Date.now() / 1000) + lifetime;
  const token = [{ alg: "ES256" }, { sub: userId, exp: expires_at }, crypto.randomUUID()].map(encode).join(
    ".",
  );
  return {
    access_token: token,
    refresh_token: crypto.randomUUID(),
    token_type: "bearer",
    expires_in: lifetime,
    expires_at,
    user: { id: userId, is_anonymous: true, app_metadata: {}, user_metadata: {}, aud: "authenticated" },
  };
}

/** What an app keeps, of the session and otherwise. */
export function newStore(): Map<string, string> & {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
} {
  const items = new Map<string, string>();
  return Object.assign(items, {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
    removeItem: (key: string) => void items.delete(key),
  });
}

export interface AppOptions extends KinoraOptions {
  /** The WebSocket of its runtime. */
  transport?: new (url: string) => unknown;
}

/** Of an app that has none. */
class NoWebSocket {
  constructor() {
    throw new Error("There is no WebSocket");
  }
}

/** An app with this network, signed in where its store has a session. */
export function newApp(
  network: Network,
  storage = newStore(),
  { transport = NoWebSocket, ...options }: AppOptions = {},
): Kinora {
  const supabase = createClient("https://project.example", "sb_publishable_test", {
    auth: { storage, storageKey: "session", autoRefreshToken: false, persistSession: true },
    realtime: { transport: transport as typeof WebSocket },
    global: {
      fetch: keepSession(async (input, init) => {
        const request = new Request(input, init);
        request.signal.throwIfAborted();
        const { pathname, search } = new URL(request.url);
        return await network((pathname + search).replace(/^\/(functions|auth)\/v1\//, ""), request);
      }),
    },
  });
  return new Kinora(supabase, { store: newStore(), ...options });
}

/** The same, signed in. */
export function newSignedInApp(network: Network, options: AppOptions = {}): Kinora {
  const storage = newStore();
  storage.setItem("session", JSON.stringify(newSession()));
  return newApp(network, storage, options);
}

/** Of an error of Kinora, as its body. */
export function refusal(status: number, code: string, details: Record<string, unknown> = {}): Response {
  return Response.json({ error: { code, details, message: `In words: ${code}`, request_id: "request-1" } }, {
    status,
  });
}
