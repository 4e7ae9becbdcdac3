/** The whole backend for one test file, on a database of its own whose clock the file sets. */
import assert from "node:assert/strict";
import { type AuthResponse, createClient, type SupabaseClient } from "@supabase/supabase-js";
import { Kinora } from "@kinora/client";
import type { Keys } from "../../../local/keys.ts";
import { type Stack, type StackOptions, startStack } from "../../../local/stack.ts";
import { type TestDatabase, testDatabase } from "../../database/harness.ts";
import { type Answer, readAnswer } from "./answer.ts";

export interface Backend {
  readonly stack: Stack;
  readonly database: TestDatabase;
  /** The project's secrets, for tests that forge. */
  readonly keys: Keys;
  /** The private key with which the simulated fal signs the webhooks of all its customers. */
  readonly falSigningKey: JsonWebKey;
  /** A guest of its own, with so many credits. */
  signIn(credits?: number): Promise<Guest>;
  /** Somebody with an e-mail address and a password, whom the operator has made an admin. */
  signInAdmin(): Promise<Guest>;
  /** Calls an endpoint with exactly these headers. */
  call(path: string, init?: RequestInit): Promise<Answer>;
  /** Credits that a guest can spend. */
  balanceOf(guest: Guest): Promise<number>;
  /** Fails unless the ledger and the jobs agree in everything. */
  proveLedger(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface Guest {
  readonly id: string;
  readonly token: string;
  readonly supabase: SupabaseClient;
  /** The package for apps, as this guest. */
  readonly kinora: Kinora;
  /** Calls an endpoint as this guest. */
  call(path: string, options?: CallOptions): Promise<Answer>;
}

export interface CallOptions {
  method?: string;
  /** Sent as JSON. With a body the method is POST, else GET, where none is said. */
  body?: unknown;
  headers?: Record<string, string>;
  /** Of the Idempotency-Key header. */
  key?: string;
}

/**
 * Starts it without a scheduler of its own: a test calls `stack.tick`. The simulated fal is as quick as the machine,
 * where no rule says otherwise.
 */
export async function startBackend(options: StackOptions = {}): Promise<Backend> {
  await using cleanup = new AsyncDisposableStack();
  const dataDirectory = await Deno.makeTempDir();
  cleanup.defer(() => Deno.remove(dataDirectory, { recursive: true }));
  const database = cleanup.use(await testDatabase());
  // Whose test needs it asks for it (`runTask`): all others count the tasks of their own.
  await database.sql`
    update core.scheduled_tasks set next_run_at = 'infinity' where name in ('read_notification_history', 'read_provider_accounts')`;
  const stack = cleanup.use(
    await startStack({
      databaseUrl: database.url,
      dataDirectory,
      tickMilliseconds: Infinity,
      fal: { queueMilliseconds: 0, runMilliseconds: 0, webhookRetryMilliseconds: 100 },
      ...options,
    }),
  );
  const running = cleanup.move();
  const { sql } = database;
  return {
    stack,
    database,
    keys: JSON.parse(await Deno.readTextFile(`${dataDirectory}/keys.json`)),
    falSigningKey: JSON.parse(await Deno.readTextFile(`${dataDirectory}/fal.json`)).signingKey,
    call: (path, init) => callEndpoint(stack, path, init),
    async signIn(credits = 0) {
      const guest = await signIn(stack);
      // As the operator gives them; what a device gets has tests of its own, and a limit.
      if (credits > 0) await sql`select credits.add_credits(${guest.id}, ${credits}, 'for a test')`;
      return guest;
    },
    async signInAdmin() {
      const admin = await signInWithPassword(stack);
      await sql`select ops.make_admin(${admin.id})`;
      return admin;
    },
    async balanceOf({ id }) {
      const [account] = await sql<{ balance: number }[]>`
        select a.balance::int from credits.accounts as a where a.owner_id = ${id} and a.kind = 'available'`;
      return account?.balance ?? 0;
    },
    async proveLedger() {
      assert.deepEqual([...await sql`select * from credits.reconcile(true)`], []);
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** A client as an app makes it, but for what would keep it or its timers alive. */
export function newClient(
  { url, publishableKey }: Pick<Stack, "url" | "publishableKey">,
  ownFetch?: typeof fetch,
): SupabaseClient {
  return createClient(url, publishableKey, {
    auth: { persistSession: false, autoRefreshToken: false },
    ...(ownFetch === undefined ? {} : { global: { fetch: ownFetch } }),
  });
}

/** Signs up a guest, as an app does at its first start. */
export async function signIn(stack: Stack): Promise<Guest> {
  const supabase = newClient(stack);
  return guestOf(stack, supabase, await supabase.auth.signInAnonymously());
}

/** Signs in somebody new to whom the operator gave a password. */
export async function signInWithPassword(stack: Stack): Promise<Guest> {
  const supabase = newClient(stack);
  const credentials = { email: `${crypto.randomUUID()}@example.com`, password: crypto.randomUUID() };
  const operator = newClient({ url: stack.url, publishableKey: stack.secretKey });
  await operator.auth.admin.createUser({ ...credentials, email_confirm: true });
  return guestOf(stack, supabase, await supabase.auth.signInWithPassword(credentials));
}

function guestOf(stack: Stack, supabase: SupabaseClient, { data: { session }, error }: AuthResponse): Guest {
  assert(session, `No session: ${error?.message}`);
  const { access_token: token, user } = session;
  return {
    id: user.id,
    token,
    supabase,
    kinora: new Kinora(supabase),
    call: (path, { method, body, headers, key } = {}) =>
      callEndpoint(stack, path, {
        method: method ?? (body === undefined ? "GET" : "POST"),
        headers: {
          apikey: stack.publishableKey,
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...(key === undefined ? {} : { "idempotency-key": key }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
  };
}

async function callEndpoint(stack: Stack, path: string, init: RequestInit = {}): Promise<Answer> {
  return await readAnswer(await fetch(`${stack.url}/functions/v1/${path}`, init));
}
