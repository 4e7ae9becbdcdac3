/**
 * An operation's answer to one request, in this order: the caller is known, then the input, then the key; the service
 * answers, and what it answers is held against the declaration.
 */
import { AppError } from "../errors/app-error.ts";
import { cacheControlOf } from "./answer-memory.ts";
import type { BackgroundWork } from "./background-work.ts";
import { authenticate } from "../request/caller.ts";
import type { Config } from "../platform/config.ts";
import type { Answer, Caller, Context, Idempotency, Limit, Report, Runtime } from "./context.ts";
import { codes } from "../errors/error-codes.ts";
import { isLanguage, type Language, negotiateLanguages, pickLanguage } from "../errors/languages.ts";
import { fingerprint, parseIdempotencyKey } from "../request/idempotency-key.ts";
import type { Logger } from "../platform/logger.ts";
import type { Metrics } from "../ops/metrics.ts";
import { type Declaration, errorsOf, type Parameters } from "./operation.ts";
import { type IsolateMemory, memoryOf } from "./isolate-memory.ts";
import { inputOf } from "../request/request-input.ts";
import { entityTagOf, isUnchanged } from "./response-headers.ts";

/** What the wrapper takes from outside; tests give their own. */
export interface Platform {
  readonly config: Config;
  readonly log: Logger;
  readonly fetch: typeof fetch;
  readonly background: BackgroundWork;
  /** Where the isolate counts what it does. */
  readonly metrics: Metrics;
  /** Has the counts told, some seconds after the promised answer. */
  tellMetrics(endpoint: string, answered: Promise<void>): void;
  now(): number;
}

/** What is learnt about a request on its way; headers and the log line are made from it. */
export interface Exchange {
  readonly request: Request;
  readonly requestId: string;
  /** As the answer's header has it: the caller's trace, and this request's part in it; null where there is none. */
  readonly traceparent: string | null;
  readonly endpoint: string;
  readonly language: Language | null;
  readonly limits: Map<string, Limit>;
  ownLanguage: Language | null;
  replayed: boolean;
  dataApiCalls: number;
  caller: Caller | null;
  /** As clientNetwork has it. */
  readonly network: string | null;
  /** Whether the sender has proved what the operation asks for. */
  isAdmitted: boolean;
  /** Resolves when the answer has been made and logged. */
  readonly answered: Promise<void>;
  /** Has a fault of ours recorded, after the answer. */
  recordError(failure: AppError): void;
}

/** What nobody expected is an internal error. */
export function asAppError(error: unknown): AppError {
  return error instanceof AppError ? error : new AppError(codes["internal/error"], { cause: error });
}

export function languageOf({ language, ownLanguage }: Exchange): Language {
  return pickLanguage(language, ownLanguage);
}

/** Rejects with what the service throws, and with AppErrors of its own for what comes before that. */
export async function answer(
  operation: Declaration,
  parameters: Parameters,
  exchange: Exchange,
  platform: Platform,
  memory: IsolateMemory,
): Promise<Response> {
  const { request } = exchange;
  const { config, fetch, now } = platform;
  const caller = await authenticate(request, operation.auth, config.supabase);
  exchange.caller = caller;
  // A signature is in the body: until the service has read that, whoever sends it has proved nothing.
  const isProvedByBody = operation.auth === "signed" && operation.admit === undefined;
  exchange.isAdmitted = operation.admit === undefined && !isProvedByBody;

  const given = await inputOf(operation, request, async (query) => {
    await operation.admit?.(query as never, config);
    exchange.isAdmitted = !isProvedByBody;
  });
  const input = operation.path === undefined ? given : Object.assign({}, given, parameters);

  const idempotency: Idempotency | null = operation.idempotencyKey
    ? {
      key: parseIdempotencyKey(request.headers.get("idempotency-key")),
      fingerprint: fingerprint(input ?? null),
      isReplay: () => exchange.replayed,
    }
    : null;

  const { network } = exchange;
  const log = platform.log.child({
    request_id: exchange.requestId,
    ...(exchange.traceparent === null ? {} : { traceparent: exchange.traceparent }),
    endpoint: exchange.endpoint,
    ...(caller.kind === "user" ? { user_id: caller.userId } : {}),
  });

  const remembered = memoryOf(memory, { method: operation.method, caller, network, idempotency });
  const { refused } = negotiateLanguages(request.headers.get("accept-language"));
  const report = ({ limits, replayed, language }: Report) => {
    for (const limit of limits ?? []) exchange.limits.set(limit.policy, limit);
    exchange.replayed ||= replayed === true;
    if (isLanguage(language) && !refused.includes(language)) exchange.ownLanguage = language;
  };
  const beforeCall = () => {
    // Only before the first: who was admitted is not stopped half-way, though others of theirs are refused.
    const refusal = exchange.dataApiCalls === 0 ? remembered.refusal(now()) : null;
    if (refusal !== null) {
      report({ limits: refusal.limits });
      throw new AppError(codes["limit/rate-exceeded"], {
        details: { policy: refusal.policy, retry_after: refusal.retryAfter },
      });
    }
    exchange.dataApiCalls += 1;
  };
  const runtime: Runtime = {
    config,
    log,
    requestId: exchange.requestId,
    fetch,
    now,
    beforeCall,
    report,
    onBreach: (event, error) => onBreach(event, error, exchange, platform),
  };
  const context: Context = {
    caller,
    network,
    requestId: exchange.requestId,
    language: exchange.language,
    answerLanguage: () => languageOf(exchange),
    config,
    log,
    now,
    // The platform is told before the answer, and would else end the isolate after it.
    waitUntil: (work) => {
      const done = exchange.answered.then(work).catch((error: unknown) => {
        exchange.recordError(asAppError(error));
        throw error;
      });
      // What the work counts is told after it, whether or not another request comes to this isolate.
      const told = done.finally(() => platform.tellMetrics(exchange.endpoint, exchange.answered));
      platform.background.run(told, log);
    },
    ...(idempotency === null ? {} : { idempotency }),
    ...Object.fromEntries(Object.entries(operation.ports ?? {}).map(([name, port]) => [name, port(runtime)])),
  };

  try {
    // `endpoint` has checked that the service takes what this operation gives; the list of operations has
    // forgotten the types.
    const ask = () => operation.service(input as never, context as never);
    const { cache } = operation;
    const result = cache === undefined
      ? await ask()
      : await memory.answers.recall(operation, cache, ask, { log, now });
    remembered.answered(null, [], now());
    return toResponse(operation, result, exchange, platform);
  } catch (error) {
    remembered.answered(error, [...exchange.limits.values()], now());
    if (isProvedByBody) {
      exchange.isAdmitted = !(error instanceof AppError && error.code === codes["auth/unauthenticated"]);
    }
    if (error instanceof AppError && !errorsOf(operation).includes(error.code)) {
      onBreach("error_is_not_declared", error, exchange, platform);
    }
    throw error;
  }
}

function toResponse(
  operation: Declaration,
  result: Answer<unknown>,
  exchange: Exchange,
  platform: Platform,
): Response {
  const { status, body } = result;
  const schema = operation.response[status];
  const breach = schema === undefined
    ? new Error(`Status ${status} is not declared`)
    : schema === null
    ? body === undefined ? null : new Error(`Status ${status} is declared without a body`)
    : schema.safeParse(body).error ?? null;
  if (breach !== null) onBreach("response_breaks_contract", breach, exchange, platform);

  const headers = new Headers(result.headers);
  if (!headers.has("Cache-Control")) headers.set("Cache-Control", cacheControlOf(operation.cache));
  if (body === undefined) return new Response(null, { status, headers });
  const text = operation.mediaType === undefined ? JSON.stringify(body) : String(body);
  if (operation.response[304] === null) {
    const etag = entityTagOf(text);
    headers.set("ETag", etag);
    if (isUnchanged(exchange.request.headers.get("if-none-match"), etag)) {
      return new Response(null, { status: 304, headers });
    }
  }
  headers.set("Content-Type", operation.mediaType ?? "application/json");
  return new Response(text, { status, headers });
}

/**
 * An answer that the declaration does not allow is a bug: it fails a test. Deployed, it is logged and sent,
 * because what the answer tells has happened.
 */
function onBreach(event: string, error: Error, exchange: Exchange, platform: Platform): void {
  if (platform.config.environment === "test" || platform.config.environment === "local") {
    throw new Error(event, { cause: error });
  }
  platform.log.critical(event, { error });
  exchange.recordError(new AppError(codes["internal/error"], { cause: new Error(event, { cause: error }) }));
}
