/**
 * What happens to every request, whatever the endpoint. Whatever is thrown becomes one error body, here; and each request
 * leaves one line in the log.
 */
import { AppError } from "../errors/app-error.ts";
import { clientNetwork } from "../request/client-network.ts";
import { preflightResponse } from "./cors.ts";
import { codes, errorCodes } from "../errors/error-codes.ts";
import { createErrorLog, type ErrorLog } from "../errors/error-log.ts";
import { errorResponse } from "../errors/error-response.ts";
import { negotiateLanguage } from "../errors/languages.ts";
import type { Fields } from "../platform/logger.ts";
import { type Declaration, parametersOf } from "./operation.ts";
import { type IsolateMemory, isolateMemory, refuseStranger } from "./isolate-memory.ts";
import { setRateLimitHeaders } from "./rate-limiter.ts";
import { noCode } from "../ops/metric-catalogue.ts";
import { discardBody, discarded, discardedOfRefused } from "../request/request-body.ts";
import { requestIdOf, setStandardHeaders, traceparentOf } from "./response-headers.ts";
import { answer, asAppError, type Exchange, languageOf, type Platform } from "./answer.ts";

export type Handler = (request: Request) => Promise<Response>;

/** Serves the operations on a platform. The promise never rejects: whatever happens is an answer. */
export function createHandler(operations: readonly Declaration[], platform: Platform): Handler {
  const memory = isolateMemory();
  const errorLog = createErrorLog(platform);
  let isCold = true;
  return (request) => {
    const response = handle(request, operations, platform, memory, errorLog, isCold);
    isCold = false;
    // The platform ends an isolate whose caller has gone; what it asked for is still to be finished.
    platform.background.run(response, platform.log);
    return response;
  };
}

async function handle(
  request: Request,
  operations: readonly Declaration[],
  platform: Platform,
  memory: IsolateMemory,
  errorLog: ErrorLog,
  isCold: boolean,
): Promise<Response> {
  const startedAt = platform.now();
  const { promise: answered, resolve: beginBackgroundWork } = Promise.withResolvers<void>();
  const { pathname } = new URL(request.url);
  const path = pathname.replace(/^\/functions\/v1(?=\/|$)/, "").split("/").filter((part) => part !== "");
  const exchange: Exchange = {
    request,
    requestId: requestIdOf(request.headers),
    traceparent: traceparentOf(request.headers),
    endpoint: /^[a-z0-9-]{1,50}$/.exec(path[0] ?? "")?.[0] ?? "",
    language: negotiateLanguage(request.headers.get("accept-language")),
    limits: new Map(),
    ownLanguage: null,
    replayed: false,
    dataApiCalls: 0,
    caller: null,
    network: clientNetwork(request.headers.get(platform.config.clientAddressHeader)),
    isAdmitted: false,
    answered,
    recordError({ code, cause }) {
      const { endpoint, requestId, caller } = exchange;
      const userId = caller?.kind === "user" ? caller.userId : null;
      const recorded = answered.then(() =>
        errorLog.record({ code, endpoint, userId, requestId, error: cause })
      );
      platform.background.run(recorded, platform.log);
    },
  };
  // A HEAD is a GET whose body stays here.
  const method = request.method === "HEAD" ? "GET" : request.method;
  const here = operations.flatMap((operation) => {
    const parameters = parametersOf(operation, path.slice(1));
    return parameters === null ? [] : [{ operation, parameters }];
  });
  const asked = here.find(({ operation }) => operation.method === method);
  const methods = methodsOf(here.map(({ operation }) => operation));

  let response: Response;
  let failure: AppError | null = null;
  try {
    if (here.length === 0) throw new AppError(codes["resource/not-found"]);
    if (method === "OPTIONS") response = preflightResponse(methods);
    else if (asked !== undefined) {
      response = await answer(asked.operation, asked.parameters, exchange, platform, memory);
    } else {throw new AppError(codes["request/method-not-allowed"], {
        headers: { Allow: methods.join(", ") },
      });}
  } catch (error) {
    failure = asAppError(error);
    if (exchange.isAdmitted) exchange.recordError(failure);
    // Nobody whom we know: neither the database nor its error log hears of it.
    else failure = refuseStranger(failure, exchange, memory, platform.now());
    const members = asked?.operation.errorMembers?.(failure, asked.parameters);
    response = errorResponse(failure, languageOf(exchange), exchange.requestId, members);
  }
  if (request.method === "HEAD") response = new Response(null, response);
  const isOverLimit = !exchange.isAdmitted && failure?.code === codes["limit/rate-exceeded"];
  await discardBody(request, isOverLimit ? discardedOfRefused : discarded);

  const { headers } = response;
  setStandardHeaders(headers, {
    requestId: exchange.requestId,
    traceparent: exchange.traceparent,
    language: languageOf(exchange),
    origin: request.headers.get("origin"),
    corsAllowOrigin: platform.config.corsAllowOrigin,
  });
  setRateLimitHeaders(headers, [...exchange.limits.values()]);
  if (exchange.replayed) headers.set("Idempotency-Replayed", "true");

  const milliseconds = platform.now() - startedAt;
  const { endpoint } = exchange;
  platform.metrics.count("requests", {
    endpoint,
    status: `${response.status}`,
    code: failure?.code ?? noCode,
  });
  platform.metrics.observe("request_seconds", { endpoint }, milliseconds / 1000);
  if (failure?.code === codes["limit/rate-exceeded"]) {
    platform.metrics.count("limit_refusals", { policy: String(failure.details.policy) });
  }
  if (isCold) platform.metrics.count("cold_starts", { endpoint });
  platform.tellMetrics(endpoint, answered);

  platform.log[failure === null ? "info" : errorCodes[failure.code].severity]("request", {
    request_id: exchange.requestId,
    ...(exchange.traceparent === null ? {} : { traceparent: exchange.traceparent }),
    method: request.method,
    endpoint,
    status: response.status,
    ...(failure === null ? {} : describeFailure(failure)),
    duration_ms: milliseconds,
    ...(exchange.caller?.kind === "user" ? { user_id: exchange.caller.userId } : {}),
    data_api_calls: exchange.dataApiCalls,
    ...(exchange.replayed ? { replayed: true } : {}),
  });
  beginBackgroundWork();
  return response;
}

/** The caller's own affairs are told in a few words, ours with their stack and causes. */
function describeFailure(failure: AppError): Fields {
  const { code, cause } = failure;
  const { severity } = errorCodes[code];
  if (severity === "error" || severity === "critical") return { code, error: cause ?? failure };
  return cause === undefined ? { code } : { code, reason: cause instanceof Error ? cause.message : cause };
}

function methodsOf(operations: readonly Declaration[]): string[] {
  const methods = operations.map(({ method }) => method);
  return [...methods, ...(methods.includes("GET") ? ["HEAD"] : []), "OPTIONS"];
}
