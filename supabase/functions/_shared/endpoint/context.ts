/**
 * What a service is given and what it answers. A service names in its signature the callers and the ports that
 * it needs, and no more; its test gives it fakes of exactly those.
 *
 *     context: Context<"user"> & Keyed & { database: Database }
 */
import type { Config } from "../platform/config.ts";
import type { Language } from "../errors/languages.ts";
import type { Logger } from "../platform/logger.ts";

/** A user by a verified token. Whether the account is still active, only the database knows. */
export interface UserCaller {
  readonly kind: "user";
  /** The token's subject, a lower-case UUID. */
  readonly userId: string;
  /** Of Auth; the procedures ask whether it is alive. */
  readonly sessionId: string;
  readonly isAnonymous: boolean;
  /** `aal2` after a second factor; `aal1` also where the token does not say. */
  readonly assuranceLevel: "aal1" | "aal2";
}

/** The operator's own server, by a secret key of the project, or the database, by the worker's key. */
export interface ServiceCaller {
  readonly kind: "service";
  readonly keyName: string;
}

/** Nobody that the wrapper knows. A signed request proves its sender to the service. */
export interface UnknownCaller {
  readonly kind: "unknown";
}

export type Caller = UserCaller | ServiceCaller | UnknownCaller;

/** Who calls, for each kind of credentials that an operation may ask for. */
export interface CallerOf {
  user: UserCaller;
  /** A signed-in user that is not a guest; the procedure asks whether it is an admin. */
  admin: UserCaller;
  service: ServiceCaller;
  /** Whoever wakes the worker: the database, by a key that opens nothing else, or a service. */
  worker: ServiceCaller;
  /** Whoever collects metrics, by a token that opens nothing else, or a service. */
  metrics: ServiceCaller;
  signed: UnknownCaller;
  public: ServiceCaller | UnknownCaller;
}

export type Auth = keyof CallerOf;

export interface Context<A extends Auth = Auth> {
  readonly caller: CallerOf[A];
  /** The client's IPv4 address or IPv6 /64 in canonical form; null where it is not known. */
  readonly network: string | null;
  readonly requestId: string;
  /** What Accept-Language asks for, or null. */
  readonly language: Language | null;
  /** The language of this answer: `language`, else the user's own where a procedure has told it, else English. */
  answerLanguage(): Language;
  readonly config: Config;
  readonly log: Logger;
  /** Milliseconds since 1970. Decisions about money and limits use the database's clock instead. */
  now(): number;
  /**
   * Work that begins when the answer has been made, also where that is an error, so that it does not delay it. It
   * makes things fast, never safe: what must survive is a row.
   */
  waitUntil(work: () => Promise<unknown>): void;
}

/** The part of a context that operations with `idempotencyKey: "required"` have. */
export interface Keyed {
  readonly idempotency: Idempotency;
}

export interface Idempotency {
  /** 1–255 visible ASCII characters, without quotes around them. */
  readonly key: string;
  /** SHA-256 of the validated request's canonical JSON, 64 hex digits. */
  readonly fingerprint: string;
  /** Whether a procedure has answered with what an earlier request did. */
  isReplay(): boolean;
}

/** The input of a service whose sender signs the raw body. */
export interface SignedInput<Query> {
  readonly body: Uint8Array;
  readonly headers: Headers;
  readonly query: Query;
}

/** What a service answers. Failures are thrown as AppError. An answer without a body has none of it sent. */
export interface Answer<Body = undefined> {
  readonly status: number;
  readonly body?: Body | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One policy's state, as the procedures report it. */
export interface Limit {
  readonly policy: string;
  readonly allowed: boolean;
  readonly current: number;
  readonly limit: number;
  /** Seconds. */
  readonly window: number;
  readonly remaining: number;
  /** Seconds until more is allowed. */
  readonly reset: number;
}

/** What a procedure's answer says to the wrapper, beside its data or its refusal. */
export interface Report {
  readonly limits?: readonly Limit[] | null;
  readonly replayed?: boolean | null;
  /** The user's own; another than Kinora's counts as none. */
  readonly language?: string | null;
}

/** What a port is made from, once for a request. */
export interface Runtime {
  readonly config: Config;
  readonly log: Logger;
  readonly requestId: string;
  readonly fetch: typeof fetch;
  now(): number;
  /**
   * The database client calls this before each call of the Data API, which counts it. Throws ERR_4004 where
   * this isolate remembers that the caller was refused and the refusal still holds.
   */
  beforeCall(): void;
  /** The database client passes on what came with an answer, also with a refusal. */
  report(report: Report): void;
  /**
   * For an answer that breaks its contract, which is a bug. Throws in tests and local projects; deployed it is logged as
   * critical and recorded, and what was answered goes on, because it has happened.
   */
  onBreach(event: string, error: Error): void;
}

/** Makes a port for one request. An endpoint bundles only the ports that its declaration names. */
export type Port<T> = (runtime: Runtime) => T;
