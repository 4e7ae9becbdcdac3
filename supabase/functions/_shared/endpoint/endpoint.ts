/**
 * The wrapper that every endpoint goes through. An endpoint's index.ts declares its operations, one for each
 * method; request-handler.ts does what is the same for all of them.
 */
import { codes } from "../errors/error-codes.ts";
import { AppError } from "../errors/app-error.ts";
import { createBackgroundWork } from "./background-work.ts";
import { config as loadedConfig } from "../platform/config.ts";
import { errorResponse } from "../errors/error-response.ts";
import { negotiateLanguage, pickLanguage } from "../errors/languages.ts";
import { createLogger, writeToConsole } from "../platform/logger.ts";
import type { Consistent, Declaration } from "./operation.ts";
import { countedFetch } from "../ops/counted-fetch.ts";
import { isolateMetrics } from "../ops/metrics.ts";
import { metricTelling } from "../ops/telling.ts";
import { discardBody } from "../request/request-body.ts";
import type { Platform } from "./answer.ts";
import { createHandler, type Handler } from "./request-handler.ts";
import { requestIdOf, setStandardHeaders, traceparentOf } from "./response-headers.ts";

/** What an index.ts exports by default; the platform's runtime and `deno serve` take its `fetch`. */
export interface Endpoint {
  readonly fetch: Handler;
  readonly operations: readonly Declaration[];
}

/** Declares an endpoint: one operation for each method that it has. */
export function endpoint<const D extends readonly Declaration[]>(
  ...operations: { readonly [I in keyof D]: D[I] & Consistent<D[I]> }
): Endpoint {
  let handler: Handler | undefined;
  return {
    operations,
    fetch: async (request) => {
      try {
        handler ??= createHandler(operations, deployedPlatform());
      } catch (error) {
        return await misconfigured(request, error);
      }
      return await handler(request);
    },
  };
}

function deployedPlatform(): Platform {
  const config = loadedConfig();
  const log = createLogger({ write: writeToConsole, level: config.logLevel, now: Date.now });
  if (config.missing.length > 0) log.warn("secrets_missing", { names: config.missing });
  for (const [feature, faults] of Object.entries(config.broken)) {
    log.critical("feature_misconfigured", { feature, faults });
  }
  const [background, now, metrics] = [createBackgroundWork(), Date.now, isolateMetrics()];
  const counted = countedFetch(fetch, config, metrics, now);
  const tell = metricTelling({ config, log, fetch: counted, background, now }, metrics);
  return { config, log, fetch: counted, background, now, metrics, tellMetrics: tell };
}

async function misconfigured(request: Request, error: unknown): Promise<Response> {
  createLogger({ write: writeToConsole, level: "info", now: Date.now }).critical("misconfigured", { error });
  const requestId = requestIdOf(request.headers);
  const traceparent = traceparentOf(request.headers);
  const language = pickLanguage(negotiateLanguage(request.headers.get("accept-language")), null);
  const response = errorResponse(new AppError(codes["internal/error"]), language, requestId);
  setStandardHeaders(response.headers, {
    requestId,
    traceparent,
    language,
    origin: null,
    corsAllowOrigin: "*",
  });
  await discardBody(request);
  return response;
}
