/**
 * Calls of the stored procedures through the Data API. A procedure answers with an envelope: data, or a refusal by
 * a code of the registry. What it raises is an accident, and none of its text leaves the log.
 *
 *     database.call("cancel_video", { ...fields(request), ...actor(context) }, CancelledVideo)
 *
 * Who acts comes after the request, so that no field of it can stand in for them.
 */
import { PostgrestClient, type PostgrestError } from "@supabase/postgrest-js";
import type * as z from "zod/mini";
import { AppError } from "../errors/app-error.ts";
import type { Context, Keyed, Port, Report, Runtime } from "../endpoint/context.ts";
import { codes, isErrorCode } from "../errors/error-codes.ts";
import type { JsonValue } from "../platform/json.ts";
import { countRetry } from "../ops/counted-fetch.ts";
import { sleep } from "../platform/sleep.ts";
import { limitTime, repeatUnauthorized } from "../platform/platform-fetch.ts";
import type { Database as Schema, Json } from "./database.types.ts";

type Functions = Schema["api"]["Functions"];
export type ProcedureName = keyof Functions;

/**
 * A procedure's arguments. The generated types do not know that an argument may be null, or read-only. One with a default
 * may be undefined, which is as if it were not given.
 */
export type Arguments<Name extends ProcedureName> = {
  readonly [Key in keyof Functions[Name]["Args"]]:
    | (Json extends Functions[Name]["Args"][Key] ? JsonValue
      : Functions[Name]["Args"][Key] extends readonly (infer Item)[] | undefined ? readonly Item[] | null
      : Functions[Name]["Args"][Key] | null)
    | (undefined extends Functions[Name]["Args"][Key] ? undefined : never);
};

/** Lets no argument through that the procedure does not take; spread ones are not checked otherwise. */
type NothingElse<Given, Name extends ProcedureName> = {
  readonly [Key in Exclude<keyof Given, keyof Arguments<Name>>]: never;
};

export interface Database {
  /**
   * Calls a procedure and returns the `data` of its envelope, as its schema reads it. Throws the refusal as an AppError,
   * ERR_6001 when the database cannot be reached in time, and ERR_6003 for an accident. Data that does not fit is a breach:
   * it throws in tests and local projects; deployed it is logged and returned as it is, because what it tells has happened.
   */
  call<Name extends ProcedureName, Given extends Arguments<Name>, Data extends z.ZodMiniType>(
    name: Name,
    args: Given & NothingElse<Given, Name>,
    data: Data,
  ): Promise<z.output<Data>>;
}

/** A request's fields as its procedure's arguments: each under its own name, with the prefix. */
export type Fields<Request> = {
  [Key in keyof Request as Key extends string ? `p_${Key}` : never]: Request[Key];
};

export function fields<Request extends object>(request: Request): Fields<Request> {
  const prefixed = Object.entries(request).map(([name, value]) => [`p_${name}`, value]);
  // The type says what the line above does, which TypeScript cannot follow.
  return Object.fromEntries(prefixed) as Fields<Request>;
}

/** Who acts, for a procedure that acts for a user, and in which session, which it asks whether it has ended. */
export function actor({ caller }: Pick<Context<"user">, "caller">) {
  return { p_user_id: caller.userId, p_session_id: caller.sessionId };
}

/** Who acts, and in which request, for a procedure that writes down what an admin did. */
export function admin({ caller, requestId }: Pick<Context<"admin">, "caller" | "requestId">) {
  return { p_admin_id: caller.userId, p_session_id: caller.sessionId, p_request_id: requestId };
}

/** The key of the caller's intention, for a procedure that does it once. */
export function keyed({ idempotency }: Keyed) {
  return { p_idempotency_key: idempotency.key, p_fingerprint: idempotency.fingerprint };
}

/** What every procedure answers; see guard.answer and guard.refusal. */
type Envelope =
  & Report
  & ({ readonly data: unknown } | { readonly error: unknown; readonly details: Record<string, JsonValue> });

/** Longer than the 8 s that the Data API gives a statement, and short enough to answer while the caller waits. */
const timeoutMilliseconds = 10_000;

/** A transaction that lost a deadlock or a race was rolled back, and runs again. More than twice is no accident. */
const maxRetries = 2;
const lostRaces = ["40P01", "40001"];

/** PostgREST's code for a schema that it was not told to expose. */
const notExposed = "PGRST106";

/** Nothing works until the operator tells the platform: every call of every endpoint meets this. */
export class SchemaNotExposed extends Error {
  override readonly name = "SchemaNotExposed";

  constructor(procedure: string) {
    super(
      `${procedure}: ${notExposed} the Data API does not expose the schema "api"; run supabase config push`,
    );
  }
}

/**
 * What says nothing about the request, only about the moment: the database is gone, starting, stopping, full, read-only or
 * busy, and the same call may succeed later. All of Postgres' appendix A and PostgREST's list were gone through; what is
 * not here stays wrong until somebody mends it. Data that are corrupt (XX001, XX002) are so, and functions that are not
 * there (42883, PGRST202).
 */
const passing = new RegExp(`^(${
  [
    "08...", // the connection
    "25006", // read-only: a standby, or the platform's own brake on a full disk
    "25P0[34]", // the transaction waited or lasted too long
    "40...", // rolled back: a deadlock, a lost race
    "53...", // no disk, memory, connections or temporary files left
    "55006|55P03", // an object in use, a lock that was not to be had
    "57...", // cancelled, shut down, starting, idle for too long
    "58000|58030", // the operating system, or its disks
    "72000", // a snapshot that is too old
    "PGRST00[0-3]", // no connection, or none free in time
    "PGRSTX00", // the connection's library met what it did not expect
  ].join("|")
})$`);

/** What whoever is between us and PostgREST says about the moment; PostgREST has none of these. */
const passingStatuses = [408, 425, 429];

/** One for each configuration and fetch, of which an isolate has one. */
type Client = ReturnType<typeof connect>;
const clients = new WeakMap<Runtime["config"], WeakMap<typeof fetch, Client>>();

function connect(runtime: Pick<Runtime, "config" | "fetch">) {
  const procedures = `${runtime.config.supabase.url}/rest/v1/rpc/`;
  return new PostgrestClient(`${runtime.config.supabase.url}/rest/v1`, {
    schema: "api",
    headers: { apikey: secretKey(runtime) },
    fetch: repeatUnauthorized(limitTime(runtime.fetch, timeoutMilliseconds), (milliseconds) => {
      countRetry(runtime.fetch, procedures);
      return sleep(milliseconds);
    }),
  });
}

function clientOf(runtime: Pick<Runtime, "config" | "fetch">): Client {
  const known = clients.get(runtime.config) ?? new WeakMap<typeof fetch, Client>();
  const client = known.get(runtime.fetch) ?? connect(runtime);
  clients.set(runtime.config, known.set(runtime.fetch, client));
  return client;
}

export const database: Port<Database> = (runtime) => {
  const client = clientOf(runtime);

  return {
    async call(name, args, schema) {
      for (let retries = 0;; retries += 1) {
        runtime.beforeCall();
        const { data, error, status } = await client.rpc(name, args);
        if (error === null) return check(name, unwrap(name, data, runtime), schema, runtime);
        if (!lostRaces.includes(error.code) || retries === maxRetries) throw accident(name, error, status);
        countRetry(runtime.fetch, `${runtime.config.supabase.url}/rest/v1/rpc/${name}`);
      }
    },
  };
};

/** The key that the functions themselves call the project with. */
export function secretKey({ config }: Pick<Runtime, "config">): string {
  const { default: preferred, ...others } = config.supabase.secretKeys;
  const key = preferred ?? Object.values(others)[0];
  if (key === undefined) throw new Error("SUPABASE_SECRET_KEYS holds no key");
  return key;
}

function unwrap(name: string, envelope: unknown, runtime: Runtime): unknown {
  if (!isEnvelope(envelope)) throw new Error(`${name} answered without an envelope`);
  runtime.report(envelope);
  if ("data" in envelope) return envelope.data;
  if (!isErrorCode(envelope.error)) throw new Error(`${name} refused with ${envelope.error}`);
  throw new AppError(envelope.error, { details: envelope.details });
}

function check<Data extends z.ZodMiniType>(
  name: string,
  data: unknown,
  schema: Data,
  runtime: Runtime,
): z.output<Data> {
  const { success, data: fitting, error } = schema.safeParse(data);
  if (success) return fitting;
  runtime.onBreach(
    "data_breaks_contract",
    new Error(`${name} answered what its schema does not say`, { cause: error }),
  );
  // Not of the type, as the log says by now: a client gets the rest of it, rather than nothing for its money.
  return data as z.output<Data>;
}

function isEnvelope(value: unknown): value is Envelope {
  return typeof value === "object" && value !== null && ("data" in value || "error" in value);
}

function accident(name: string, error: PostgrestError, status: number): AppError {
  // 0: no answer at all. From 502 on the gateway or PostgREST says that what is behind them is away; a 401 that stays,
  // that they do not know our key. In either case nothing was done.
  const isGone = status === 0 || status === 401 || status >= 502 || passingStatuses.includes(status) ||
    passing.test(error.code);
  return new AppError(isGone ? codes["database/unavailable"] : codes["internal/error"], {
    cause: error.code === notExposed
      ? new SchemaNotExposed(name)
      : new Error(`${name}: ${error.code} ${withoutValues(error.message)}`),
  });
}

/**
 * Postgres puts names into quotes, and values that it cannot take, which may be what somebody wrote. What cannot be a name
 * goes, up to the last quote. Its detail and hint can quote a whole row, and are not passed on at all.
 */
function withoutValues(message: string): string {
  return message.replace(/"[\w.$]{1,127}"|"[^]*"/g, (quoted) => /^"[\w.$]*"$/.test(quoted) ? quoted : '"…"');
}
