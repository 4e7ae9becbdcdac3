/**
 * How each call is made: as the user who is signed in when it begins, again where it may be tried again, and as a KinoraError
 * where it fails.
 */
import createClient, { type Client } from "openapi-fetch";
import { type ErrorCode, failureOf, noAnswer } from "./errors.ts";
import type { paths } from "./openapi.ts";
import { answerTimeout, type CallOptions, persist } from "./retry.ts";
import { currentSession, renewedSession, type Session, type Supabase } from "./session.ts";
import { baseUrl, send } from "./transport.ts";

/** What each try of a call sends beside its own. */
export type Init = {
  signal: AbortSignal;
  headers: Record<string, string>;
};

/** An answer as openapi-fetch gives it. */
export interface Answer<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

/** A request of a client that is generated from the API, made with what `init` has. */
export type Attempt<Data> = (api: Client<paths>, init: Init) => Promise<Answer<Data>>;

/** How a call is tried again. */
export interface Rules {
  /** What is answered to a request that an earlier try has done, whose own answer was lost. */
  doneAs?: ErrorCode;
  /** What is not repeatable is not tried again after a try that may have been done. True where it is not said. */
  isRepeatable?: boolean;
  /** Whose call it is; where it is not said, that of whoever is signed in at the first try. */
  userId?: string | null;
  /** It answers the same to all, so that it does not matter who asks again. */
  isPublic?: boolean;
}

export class Calls {
  readonly #supabase: Supabase;
  readonly #language: string | undefined;
  readonly #api: Client<paths>;

  constructor(supabase: Supabase, language: string | undefined) {
    this.#supabase = supabase;
    this.#language = language;
    this.#api = createClient<paths>({ baseUrl, fetch: (request) => send(supabase, request) });
  }

  /** What is answered to `attempt`, which is called for each try. */
  async call<Data>(
    attempt: Attempt<Data>,
    options?: CallOptions,
    rules?: Omit<Rules, "doneAs">,
  ): Promise<Data> {
    return await this.send(attempt, options, rules) as Data;
  }

  /**
   * What is answered to `attempt`, which is called for each try; undefined where only `doneAs` was. Where another than its
   * user is signed in, or nobody is and it is named whose it is, it throws "no answer" and sends nothing: what became of an
   * earlier try, only its user can ask.
   */
  async send<Data>(
    attempt: Attempt<Data>,
    options: CallOptions = {},
    { doneAs, isRepeatable = true, userId, isPublic = false }: Rules = {},
  ): Promise<Data | undefined> {
    const language = options.language ?? this.#language;
    let isAnothers = false;
    const isNamed = userId !== undefined;
    const own = (session: Session | null) => {
      const signedIn = session?.userId ?? null;
      if (userId === undefined) userId = signedIn;
      // Whose session is over meanwhile is told so by the backend: without a token a request is nobody's.
      isAnothers = signedIn !== userId && !isPublic && (signedIn !== null || isNamed);
      if (isAnothers) throw noAnswer("Its user is not signed in any more");
      return session;
    };
    let mayBeDone = false;
    let isOpen = false;
    return await persist(
      async (signal) => {
        mayBeDone ||= isOpen;
        const once = async (session: Session | null) => {
          isOpen = true;
          const answer = await attempt(this.#api, {
            signal,
            headers: {
              ...(session && { Authorization: `Bearer ${session.token}` }),
              ...(language !== undefined && { "Accept-Language": language }),
            },
          });
          const failure = answer.response.ok ? null : failureOf(answer.response, answer.error);
          isOpen = failure?.mayBeDone ?? false;
          return { data: answer.data, failure };
        };
        const session = own(await currentSession(this.#supabase));
        let { data, failure } = await once(session);
        if (failure?.code === "ERR_4005" && session !== null && !(mayBeDone && doneAs === "ERR_4005")) {
          const renewed = await renewedSession(this.#supabase, session.token);
          if (renewed !== null) ({ data, failure } = await once(own(renewed)));
        }
        // That nobody is signed in proves nothing.
        if (failure === null || mayBeDone && session !== null && failure.code === doneAs) return data;
        throw failure;
      },
      options,
      answerTimeout,
      () => !isAnothers && (isRepeatable || !isOpen),
    );
  }
}

/** What a GET may be asked, but for where its next page begins. */
export type Query<Path extends keyof paths> = paths[Path] extends { get: { parameters: { query?: infer Q } } }
  ? Omit<NonNullable<Q>, "cursor">
  : never;

/** The items of all pages. `page` is called with the cursor of the next one, and gives its items and the cursor after it. */
export async function* pages<Item>(
  page: (cursor: { cursor?: string }) => Promise<[items: Item[], next: string | null]>,
): AsyncGenerator<Item, void, undefined> {
  let cursor: { cursor?: string } = {};
  for (;;) {
    const [items, next] = await page(cursor);
    yield* items;
    if (next === null) return;
    cursor = { cursor: next };
  }
}
