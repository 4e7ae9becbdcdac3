/**
 * The port to a video provider. An adapter translates between this and the provider's protocol; it decides
 * nothing, keeps nothing and takes its `fetch` as a parameter. What follows from an answer is decided by the
 * procedures (`claim_submission`, `record_submission`, `settle_video_job`).
 */
import type { codes, ErrorCode } from "../../errors/error-codes.ts";

/** A part of a provider's input, as JSON. */
export type Fields = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** What Kinora asks for, in Kinora's own terms; the adapter turns it into the provider's input. */
export interface Generation {
  /** The provider's own name of the model, such as `fal-ai/veo3/fast`. */
  providerModel: string;
  prompt: string;
  /** Whole seconds. */
  durationSeconds: number;
  resolution: string;
  aspectRatio: string;
  /** Null for what is made from no picture. */
  imageUrl: string | null;
  /** Null for what is made from no video. */
  videoUrl: string | null;
  /** The provider's own fields for what the model takes beside all this; they stand above what an adapter sends anyhow. */
  fields: Fields;
  /** Where the provider reports the end; null where it has no webhook. */
  webhookUrl: string | null;
}

/**
 * What an adapter needs to find a submission again; stored as it is, never shown to a client. Empty where the
 * answer to the submission was lost and its id came with a webhook.
 */
export type ProviderReferences = Record<string, string>;

/** A failure in the terms of the error registry; it becomes the job's `error`. */
export interface Failure {
  code: Extract<
    ErrorCode,
    | (typeof codes)["prompt/refused"]
    | (typeof codes)["provider/timed-out"]
    | (typeof codes)["provider/unavailable"]
    | (typeof codes)["provider/rejected"]
  >;
  details: Record<string, string>;
  /** For the log and the operator, never for a client. */
  cause: string;
}

/**
 * `accepted`: the provider has the job.
 * `refused`: the provider read the request and will never do it; another one may, unless it is against a policy.
 * `not_accepted`: proof that the provider does not have it (no connection, 429, a 4xx other than 408, or 503
 * with the provider's own error body); it may be sent again, there or elsewhere.
 * `unknown`: everything else; nobody sends it again.
 */
export type SubmitOutcome =
  | { outcome: "accepted"; requestId: string; references: ProviderReferences }
  | {
    outcome: "refused";
    failure: Failure;
    /** The fault is in what we made of the request: a model or an input that the provider does not have. */
    needsOperator?: true;
  }
  | {
    outcome: "not_accepted";
    cause: string;
    retryAfterSeconds: number | null;
    /** It is there and has too much to do, which is nothing against it. */
    isBusy?: true;
    needsOperator?: true;
  }
  | { outcome: "unknown"; cause: string };

/** Nothing was learnt. */
export interface Unreachable {
  cause: string;
  /** Nor will it be before the operator mends it: the provider does not take our key, or our balance. */
  needsOperator?: true;
}

/** Said only where the provider says, or its terms do, that it bills nothing: what may have been billed counts as billed. */
export interface Unbilled {
  readonly isUnbilled?: true;
}

/** `unreachable` says nothing about the job: ask again later. `not_found`: the provider does not know the id. */
export type ProviderState =
  | { state: "queued" }
  | { state: "running"; percent: number | null }
  | { state: "succeeded"; videoUrl: string; thumbnailUrl: string | null }
  | { state: "failed"; failure: Failure } & Unbilled
  | { state: "cancelled" } & Unbilled
  | { state: "not_found" }
  | { state: "unreachable" } & Unreachable;

/** `requested` is only a signal: the job ends with the provider's own word, by webhook or poll. */
export type CancelOutcome =
  | { outcome: "cancelled" } & Unbilled
  | { outcome: "requested" | "too_late" | "not_found" }
  | { outcome: "unreachable" } & Unreachable;

/**
 * A webhook whose sender is proved. `eventId` is the same for every delivery of one event. `unreachable` says
 * that the generation ended, but not how: the provider has to be asked.
 */
export interface ProviderEvent {
  eventId: string;
  requestId: string;
  state: ProviderState;
}

export type WebhookVerdict =
  | { valid: true; event: ProviderEvent }
  | { valid: false; reason: string };

export interface Capabilities {
  webhook: boolean;
  cancel: boolean;
  /** Whether a poll tells when the generation started, so that the running bound counts from there. */
  reportsStart: boolean;
  /** Seconds between two polls of one job, at least. */
  pollIntervalSeconds: number;
  /** Hosts that results may be fetched from: exact names, or `*.` and a suffix. */
  resultHosts: readonly string[];
}

/** What a provider says of our account; null is what it does not say. In US cents. */
export interface ProviderAccount {
  readonly balanceCents: number | null;
  /** It takes no more jobs from us. */
  readonly isLocked: boolean;
  readonly billedCents: number | null;
}

export interface Provider {
  readonly name: string;
  readonly capabilities: Capabilities;
  submit(generation: Generation): Promise<SubmitOutcome>;
  /** `providerModel` is the generation's: it is part of some providers' URLs. */
  poll(requestId: string, references: ProviderReferences, providerModel: string): Promise<ProviderState>;
  cancel(requestId: string, references: ProviderReferences, providerModel: string): Promise<CancelOutcome>;
  /** `now` in milliseconds since 1970; a timestamp more than 5 minutes off is invalid. */
  verifyWebhook(rawBody: Uint8Array, headers: Headers, now: number): Promise<WebhookVerdict>;
  /** What it says of our account, and billed for a day (`2026-11-21`, in UTC); null where it cannot be asked. Absent where it says nothing. */
  account?(day: string): Promise<ProviderAccount | null>;
}
