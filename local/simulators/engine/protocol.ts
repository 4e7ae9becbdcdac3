/** What is a simulated provider's own: its routes, the forms of its answers, and how it signs. */
import * as z from "zod";
import type { ApiAnswer, ApiCall } from "./api.ts";
import { type Delivery, delivery, type DoublingPolicy, type SignDelivery } from "./deliveries.ts";
import { type Phase, type ProviderJob, providerJob } from "./jobs.ts";
import type { Made } from "./made.ts";
import { providerRequest } from "./request-log.ts";
import type { AccountState, ActiveProviderRule } from "./rules.ts";

/** A rule of any provider: what it shares with the others, and what is decided here of its own. */
export type EngineRule = ActiveProviderRule & {
  readonly submit?: string | undefined;
  readonly webhook?: string | undefined;
  readonly webhookMilliseconds?: number;
};

export type Job<Rule> = ProviderJob & { rule: Rule };

interface ProviderState<Rule> {
  rules: Rule[];
  jobs: Job<Rule>[];
  deliveries: Delivery[];
}

/** The forms of a provider's rules, of what it keeps and of what it tells, by the form of a rule. */
export function formsOf<Rule extends z.ZodType>(rule: Rule) {
  const job = providerJob.extend({ rule });
  const rules = z.array(rule).default([]);
  const deliveries = z.array(delivery).default([]);
  return {
    rule,
    /** The account's fields stand beside them. */
    state: z.looseObject({ rules, jobs: z.array(job).default([]), deliveries }),
    /** Its requests are those since the start or the last reset, the newest 1,000. */
    report: z.object({
      requests: z.array(providerRequest),
      rules: z.array(rule),
      jobs: z.array(z.looseObject(providerJob.pick({ requestId: true, model: true, input: true }).shape)),
      deliveries: z.array(delivery),
    }),
  };
}

/** A request to make a video. */
export interface Submission {
  readonly model: string;
  readonly prompt: string;
  readonly input: unknown;
  readonly webhookUrl: string | null;
}

/** What a call is: about no generation, one that makes one, or one about one, which may not be known. */
export type Route<Rule> =
  | { readonly answer: ApiAnswer }
  | { readonly submission: Submission; readonly refusal?: ApiAnswer | null }
  | {
    readonly requestId: string;
    readonly job: Job<Rule> | undefined;
    readonly tell: (job: Job<Rule>, phase: Phase) => ApiAnswer;
  };

/** What a protocol may know and do of the provider that runs by it. */
export interface RunningProvider<Rule, Account> {
  readonly account: Account;
  readonly jobs: readonly Job<Rule>[];
  readonly url: string;
  readonly mediaUrl: string;
  /** What it tells of the account. */
  readonly says: AccountState;
  find(requestId: string): Job<Rule> | undefined;
  videoUrl(job: Job<Rule>): string;
  /** In bytes. */
  videoSize(job: Job<Rule>): number;
  /** Ends a generation before its time, or forgets it, and tells nothing of what was to come but, where it is told, that. */
  cancel(job: Job<Rule>, how: { isForgotten: boolean; isTold?: boolean }): void;
}

export interface ProviderProtocol<Rule extends EngineRule, RuleInput, Report, Account> {
  readonly forms: {
    readonly rule: z.ZodType<Rule, RuleInput>;
    readonly state: z.ZodType<ProviderState<Rule>>;
    readonly report: z.ZodType<Report>;
  };
  readonly account: z.ZodType<Account>;
  newAccount(): Account | Promise<Account>;
  /** The header with the account's key. */
  authorization(account: Account): string;
  /** What it calls its API. */
  readonly host: "queue" | "api";
  newRequestId(): string;

  readonly unauthorized: ApiAnswer;
  readonly notFound: ApiAnswer;
  /** Its answers to what it does not take. */
  readonly refusals: {
    readonly rateLimited: ApiAnswer;
    readonly locked: ApiAnswer;
    error(status: number, rule: Rule): ApiAnswer;
    refused(input: unknown): ApiAnswer;
    contentPolicy?(input: unknown): ApiAnswer;
  };
  /** What a call is. It is also called for one without the account's key. */
  route(call: ApiCall, provider: RunningProvider<Rule, Account>): Route<Rule>;
  accepted(job: Job<Rule>, provider: RunningProvider<Rule, Account>): ApiAnswer;
  /** An acceptance without an id. */
  readonly malformedAnswer: ApiAnswer;
  /** Of every answer about a generation. */
  headersOf?(requestId: string): Readonly<Record<string, string>>;
  /** The video that an input of a model orders. */
  orderIn(model: string, input: unknown): Made;
  /** Null where the provider has none. */
  readonly webhooks:
    | {
      readonly policy: DoublingPolicy;
      sign(account: Account): SignDelivery;
      body(job: Job<Rule>, delivery: Delivery, provider: RunningProvider<Rule, Account>): unknown;
    }
    | null;
}
