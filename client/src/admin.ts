/**
 * `@kinora/client/admin`: the admin's endpoints, for an operator who has signed in with supabase-js. Each call tries again,
 * takes options and throws as those of `@kinora/client` do.
 */
import { type Answer, Calls } from "./calls.ts";
import type { paths } from "./openapi.ts";
import type { CallOptions } from "./retry.ts";
import type { Supabase } from "./session.ts";

/** `admin-users` and its like. */
export type AdminEndpoint = keyof paths extends infer Path
  ? Path extends `/${infer Name extends `admin-${string}`}` ? Name : never
  : never;

type Operations<Name extends string> = paths[Extract<keyof paths, `/${Name}`>];

/** `GET` and whatever else an endpoint takes. */
export type AdminMethod<Name extends AdminEndpoint> = {
  [Method in keyof Operations<Name> & string]: Operations<Name>[Method] extends { responses: unknown }
    ? Uppercase<Method>
    : never;
}[keyof Operations<Name> & string];

type Operation<Method extends string, Name extends AdminEndpoint> = Operations<
  Name
>[
  & Lowercase<Method>
  & keyof Operations<Name>
];

type QueryOf<Of> = Of extends { parameters: { query: infer Query } } ? { query: Query }
  : Of extends { parameters: { query?: infer Query } } ? { query?: NonNullable<Query> }
  : unknown;
type BodyOf<Of> = Of extends { requestBody: { content: { "application/json": infer Body } } } ? { body: Body }
  : unknown;
/** Where the endpoint wants one: what is sent twice under it is done once. */
type KeyOf<Of> = Of extends { parameters: { header: { "Idempotency-Key": string } } } ? { key: string }
  : unknown;

/** What an endpoint is asked with: `query`, `body`, and `key` where it wants an Idempotency-Key. */
export type AdminRequest<Method extends string, Name extends AdminEndpoint> =
  & QueryOf<Operation<Method, Name>>
  & BodyOf<Operation<Method, Name>>
  & KeyOf<Operation<Method, Name>>;

type Succeeded<Responses> = {
  [Status in keyof Responses]: Status extends 200 | 201 | 202
    ? Responses[Status] extends { content: { "application/json": infer Body } } ? Body
    : never
    : Status extends 204 ? undefined
    : never;
}[keyof Responses];

/** What an endpoint answers. */
export type AdminAnswer<Method extends string, Name extends AdminEndpoint> = Operation<Method, Name> extends
  { responses: infer Responses } ? Succeeded<Responses>
  : never;

/** Endpoints whose GET answers page after page. */
export type AdminList = {
  [Name in AdminEndpoint]: "next_cursor" extends keyof AdminAnswer<"GET", Name> ? Name
    : never;
}[AdminEndpoint];

/** The request may be left out where nothing in it is wanted. */
type Arguments<Request> = Record<never, never> extends Request ? [request?: Request, options?: CallOptions]
  : [request: Request, options?: CallOptions];

interface AnyRequest {
  query?: object;
  body?: unknown;
  key?: string;
}

/** What openapi-fetch has for a method that is only known when it runs. */
type Send = (
  method: string,
  path: string,
  init: object,
) => Promise<Answer<unknown>>;

export class KinoraAdmin {
  readonly #calls: Calls;

  /** `language` is that of messages, where a call does not say another. */
  constructor(supabase: Supabase, { language }: { language?: string } = {}) {
    this.#calls = new Calls(supabase, language);
  }

  /**
   * Asks an endpoint, and gives what it answers. Where an answer is lost, a GET and what has a `key` (`newKey()`, one for
   * each intention) are sent again; what has a key is done once. Other changes are not: `mayBeDone` of the error says that
   * what they are now must be read.
   */
  async call<Name extends AdminEndpoint, Method extends AdminMethod<Name>>(
    method: Method,
    endpoint: Name,
    ...rest: Arguments<AdminRequest<Method, Name>>
  ): Promise<AdminAnswer<Method, Name>> {
    const [request, options] = rest as [AnyRequest?, CallOptions?];
    return await this.#ask(method, endpoint, request, options) as AdminAnswer<
      Method,
      Name
    >;
  }

  /** The pages of a list, as its endpoint answers them; they are asked for as they are needed. */
  async *pages<Name extends AdminList>(
    endpoint: Name,
    { query }: AdminRequest<"GET", Name> & AnyRequest = {} as never,
    options?: CallOptions,
  ): AsyncGenerator<AdminAnswer<"GET", Name>, void, undefined> {
    let cursor: string | null | undefined;
    do {
      const asked = { ...query, ...(cursor !== undefined && { cursor }) };
      const page = await this.#ask("GET", endpoint, { query: asked }, options);
      yield page as AdminAnswer<"GET", Name>;
      cursor = (page as { next_cursor: string | null }).next_cursor;
    } while (cursor !== null);
  }

  async #ask(
    method: string,
    endpoint: string,
    { query, body, key }: AnyRequest = {},
    options?: CallOptions,
  ): Promise<unknown> {
    return await this.#calls.call(
      (api, init) =>
        (api.request as unknown as Send)(method.toLowerCase(), `/${endpoint}`, {
          ...init,
          ...(key !== undefined &&
            { headers: { ...init.headers, "Idempotency-Key": key } }),
          ...(query !== undefined && { params: { query } }),
          ...(body !== undefined && { body }),
        }),
      options,
      { isRepeatable: method === "GET" || key !== undefined },
    );
  }
}

export { KinoraError } from "./errors.ts";
export { newKey } from "./intentions.ts";
export type { CallOptions, Supabase };
export type { components, paths } from "./openapi.ts";
