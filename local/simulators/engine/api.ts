/** A simulated API in JSON, which keeps the requests that it was asked. */
import { tryParseJson } from "../../../supabase/functions/_shared/platform/json.ts";
import { hangUp } from "./loopback-server.ts";
import { authorizationOf, logRequest, type ProviderRequest } from "./request-log.ts";
import { type Simulator, type SimulatorParts, startSimulator } from "./simulator.ts";

export interface ApiAnswer {
  readonly status: number;
  /** The body: text for one that is not JSON, null for none. */
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A gateway's page, which is not the provider's answer. */
export const gatewayError = (status: number): ApiAnswer => ({
  status,
  body: `<html><head><title>${status}</title></head><body><hr><center>nginx</center></body></html>`,
  headers: { "content-type": "text/html" },
});

/** The answer, with the seconds to wait where a rule says them. */
export function withRetryAfter(answer: ApiAnswer, seconds: number | undefined): ApiAnswer {
  return seconds === undefined
    ? answer
    : { ...answer, headers: { ...answer.headers, "retry-after": String(seconds) } };
}

export interface ApiCall {
  readonly method: string;
  readonly headers: Headers;
  readonly url: URL;
  readonly body: unknown;
  /** Whether it came with the account's key. */
  readonly isOurs: boolean;
  /** Resolves when the time has passed, or been let pass. */
  readonly pause: (milliseconds: number) => Promise<void>;
}

export interface HandledCall {
  /** Null where the connection closes instead. */
  readonly answer: ApiAnswer | null;
  /** Of the generation that it made or was about. */
  readonly requestId?: string | null;
}

/** Serves an API by `answer`. `authorization` is the header with the account's key. */
export async function startApi<Rule extends object, RuleInput, Report>(
  { authorization, host, answer, ...parts }:
    & Omit<SimulatorParts<Rule, RuleInput, Report>, "answer" | "log">
    & {
      log: ProviderRequest[];
      authorization: string;
      host: "queue" | "api";
      answer: (call: ApiCall) => Promise<HandledCall>;
    },
): Promise<Simulator<RuleInput, Report>> {
  return await startSimulator({
    ...parts,
    async answer(request, pause) {
      const { method, headers } = request;
      const text = await request.text();
      const body = text === "" ? null : tryParseJson(text) ?? text;
      const isOurs = authorizationOf(request, authorization) === "ours";
      const entry = logRequest(parts.log, request, authorization, { host, body });
      const handled = await answer({ method, headers, url: new URL(request.url), body, isOurs, pause });
      Object.assign(entry, { requestId: handled.requestId ?? null, status: handled.answer?.status ?? null });
      return handled.answer === null ? hangUp : toResponse(handled.answer);
    },
  });
}

function toResponse({ status, body, headers }: ApiAnswer): Response {
  const text = body === null || typeof body === "string" ? body : JSON.stringify(body);
  return new Response(text, { status, headers: { "content-type": "application/json", ...headers } });
}
