/**
 * `@kinora/client`: what an app does with Kinora, on top of its supabase-js client. Each call tries again what may be tried
 * again, takes a signal, a timeout and a language (CallOptions), and throws a KinoraError.
 */
import { Account } from "./account.ts";
import { type Attempt, Calls, pages, type Query } from "./calls.ts";
import { KinoraError, noAnswer } from "./errors.ts";
import {
  type AnyIntention,
  type BulkIntention,
  exclusively,
  type Intention,
  Intentions,
  newKey,
  type Store,
} from "./intentions.ts";
import { type Hear, listenerOf } from "./listening.ts";
import type { components } from "./openapi.ts";
import { Inbox } from "./inbox.ts";
import { Projects } from "./projects.ts";
import { Purchases } from "./purchases.ts";
import { Push } from "./push.ts";
import { type CallOptions, persist, untilEnd, within } from "./retry.ts";
import { Safety } from "./safety.ts";
import { currentSession, forgetSession, type Session, signInAsGuest, type Supabase } from "./session.ts";
import { Uploads } from "./uploads.ts";
import { watchJob } from "./watching.ts";

type Schemas = components["schemas"];

export interface KinoraOptions {
  /** Of messages, where a call does not say another; where nothing is said, the user's own. */
  language?: string;
  /** Keeps what has no answer yet: a browser has one, other apps give theirs, as they do to supabase-js. */
  store?: Store;
  /** Downloads videos; the runtime's where it is not said. */
  fetch?: typeof fetch;
}

/** Starts that are running: two screens, or two Kinoras on one client, are one guest. */
const starts = new WeakMap<object, Promise<Schemas["DeviceCheckResponse"]>>();

/** Milliseconds for a video: some have 100 MB, and some networks are slow. */
const downloadTimeout = 10 * 60_000;

export class Kinora {
  readonly #supabase: Supabase;
  readonly #intentions: Intentions;
  readonly #fetch: typeof fetch;
  readonly #calls: Calls;
  readonly account: Account;
  readonly inbox: Inbox;
  readonly projects: Projects;
  readonly purchases: Purchases;
  readonly push: Push;
  readonly safety: Safety;
  readonly uploads: Uploads;

  /** One for each supabase-js client, of which an app has one. */
  constructor(supabase: Supabase, { language, store, fetch: download }: KinoraOptions = {}) {
    this.#supabase = supabase;
    this.#intentions = new Intentions(store);
    this.#fetch = download ?? ((...call) => fetch(...call));
    this.#calls = new Calls(supabase, language);
    this.account = new Account(this.#calls, supabase, this.#intentions);
    this.inbox = new Inbox(this.#calls);
    this.projects = new Projects(this.#calls);
    this.purchases = new Purchases(this.#calls);
    this.push = new Push(this.#calls);
    this.safety = new Safety(this.#calls);
    this.uploads = new Uploads(this.#calls, this.#fetch);
  }

  /**
   * Signs in a guest where nobody is signed in, and checks the device, whose first check grants credits. For each start of
   * the app; calls at the same time are one. `newDeviceToken` asks DCDevice.generateToken anew each time; with
   * StoreKit's AppTransaction beside it (`signed_app_transaction`), a guest who lost the session is found again.
   * A guest whose session Auth has ended is signed in as another guest; whoever can sign in again gets ERR_4005.
   */
  async start(
    newDeviceToken: () => Promise<string | Schemas["DeviceCheckRequest"]>,
    options: CallOptions = {},
  ): Promise<Schemas["DeviceCheckResponse"]> {
    const left = untilEnd(options);
    for (let other = starts.get(this.#supabase); other; other = starts.get(this.#supabase)) {
      // Another's end may be its signal's, or its own mistake.
      const check = await within(left().timeout, () => other.catch(() => null), options.signal);
      if (check !== null) return check;
    }
    const running = within(
      left().timeout,
      (signal) => exclusively("kinora.start", () => this.#start(newDeviceToken, left), signal),
      options.signal,
    ).finally(() => starts.delete(this.#supabase));
    starts.set(this.#supabase, running);
    return await running;
  }

  async #start(
    newDeviceToken: () => Promise<string | Schemas["DeviceCheckRequest"]>,
    left: () => CallOptions,
  ) {
    const check = () =>
      this.call(async (api, init) => {
        const token = await newDeviceToken();
        const body = typeof token === "string" ? { device_token: token } : token;
        return await api.POST("/device-check", { ...init, body });
      }, left());
    const session = () =>
      persist(async () => {
        const session = await currentSession(this.#supabase);
        if (session === null) await signInAsGuest(this.#supabase);
        return session;
      }, left());
    const before = await session();
    try {
      return await check();
    } catch (error) {
      if (!(error instanceof KinoraError) || error.code !== "ERR_4005" || before?.isGuest !== true) {
        throw error;
      }
      await forgetSession(this.#supabase);
      await session();
      return await check();
    }
  }

  /** What videos can be made with, and for how much. */
  async models(options?: CallOptions): Promise<Schemas["Model"][]> {
    const { models } = await this.#calls.call((api, init) => api.GET("/models", init), options, {
      isPublic: true,
    });
    return models;
  }

  /**
   * Has a video accepted, and its price held. The intention is kept in the store until there is an answer: a lost one is
   * asked for again with the same key, now or, by `intentions`, at the app's next start. A request has a new key each time.
   * It is sent as its user alone: while another is signed in, it throws "no answer", and the intention stays.
   */
  async generate(
    requested: Schemas["GenerateVideoRequest"] | Intention,
    options: CallOptions = {},
  ): Promise<Schemas["AcceptedVideo"]> {
    const left = untilEnd(options);
    const intention = "key" in requested ? requested : await this.#intend(requested, left());
    return await this.#intentions.carryOut(intention, (header) =>
      this.#calls.call(
        (api, init) => api.POST("/generate-video", { ...init, params: { header }, body: intention.request }),
        left(),
        { userId: intention.user_id },
      ));
  }

  /**
   * Has several videos accepted, under one key: in the mode `all` each or none, in `any` each by itself, whose result is a job
   * or an error. The intention is kept as that of `generate`, and found by `bulkIntentions`.
   */
  async generateVideos(
    requested: Schemas["GenerateVideosRequest"] | BulkIntention,
    options: CallOptions = {},
  ): Promise<Schemas["GenerateVideosResponse"]> {
    const left = untilEnd(options);
    const intention = "key" in requested ? requested : await this.#intend(requested, left());
    return await this.#intentions.carryOut(intention, (header) =>
      this.#calls.call(
        (api, init) => api.POST("/generate-videos", { ...init, params: { header }, body: intention.request }),
        left(),
        { userId: intention.user_id },
      ));
  }

  async #intend<Request>(request: Request, options?: CallOptions) {
    const user_id = (await this.#session(options))?.userId ?? null;
    return { key: newKey(), request, user_id, made_at: new Date().toISOString() };
  }

  /** What this user has asked for, here, and had no answer to: to be given to `generate`, or to `forget`. */
  async intentions(options?: CallOptions): Promise<Intention[]> {
    return (await this.#kept(options)).filter((intention): intention is Intention =>
      !("items" in intention.request)
    );
  }

  /** The same of `generateVideos`. */
  async bulkIntentions(options?: CallOptions): Promise<BulkIntention[]> {
    return (await this.#kept(options)).filter((intention): intention is BulkIntention =>
      "items" in intention.request
    );
  }

  async #kept(options?: CallOptions): Promise<AnyIntention[]> {
    return await this.#intentions.of((await this.#session(options))?.userId ?? null);
  }

  /** Drops an intention. It may have been accepted; then the video is among the `jobs`. */
  async forget(intention: AnyIntention): Promise<void> {
    await this.#intentions.forget(intention);
  }

  /**
   * The job whenever it changes, and last when it has ended, with its video or its error. Listens to Realtime, and asks again
   * when something has happened; where that cannot be heard, it asks from time to time. Outages are waited out; without a
   * timeout for as long as they last. In the background end it by its signal, and begin anew when the app is back.
   */
  watch(
    jobId: string,
    { timeout, ...options }: CallOptions = {},
  ): AsyncGenerator<Schemas["VideoStatusResponse"], void, undefined> {
    return watchJob(jobId, {
      timeout,
      signal: options.signal,
      listener: listenerOf(this.#supabase),
      ask: (timeout) => this.job(jobId, { ...options, timeout }),
    });
  }

  /**
   * Tells what happens to whoever is signed in (videos, credits, purchases) until what is returned is called. News may be
   * lost: they are a reason to read, and null is one, too.
   */
  listen(hear: Hear): () => void {
    return listenerOf(this.#supabase).add(hear);
  }

  /** The job as it is now. */
  async job(jobId: string, options?: CallOptions): Promise<Schemas["VideoStatusResponse"]> {
    const query = { job_id: jobId };
    return await this.call((api, init) => api.GET("/video-status", { ...init, params: { query } }), options);
  }

  /** Asks to cancel the job. Where its provider has it, only the provider can say: go on watching. */
  async cancel(jobId: string, options?: CallOptions): Promise<Schemas["Job"]> {
    return await this.call(
      (api, init) => api.POST("/cancel-video", { ...init, body: { job_id: jobId } }),
      options,
    );
  }

  /** The video's file, MP4, of a completed job. Throws ERR_4009 for another. */
  async download(jobId: string, options: CallOptions = {}): Promise<Blob> {
    return await persist(
      async (signal) => {
        const { status, video_url: url, retry_after } = await this.job(jobId, { ...options, signal });
        if (url === null) {
          throw retry_after === undefined
            ? new KinoraError({
              code: "ERR_4009",
              status: null,
              details: { status },
              message: `The job is ${status}`,
            })
            : new KinoraError({
              code: "ERR_4004",
              status: null,
              details: { policy: "signed_urls", retry_after },
              message: "There is no URL for now",
            });
        }
        try {
          const response = await this.#fetch(url, { signal });
          if (response.ok) return await response.blob();
          await response.body?.cancel();
          throw noAnswer(`Storage answered ${response.status}`, undefined, response.status);
        } catch (error) {
          throw error instanceof KinoraError ? error : noAnswer("The video was not received", error);
        }
      },
      { timeout: downloadTimeout, ...options },
      downloadTimeout,
    );
  }

  /** All of the user's jobs, newest first; pages are asked for as they are needed. */
  jobs(
    query: Query<"/video-jobs"> = {},
    options?: CallOptions,
  ): AsyncGenerator<Schemas["Job"], void, undefined> {
    return pages(async (cursor) => {
      const page = await this.call(
        (api, init) => api.GET("/video-jobs", { ...init, params: { query: { ...query, ...cursor } } }),
        options,
      );
      return [page.jobs, page.next_cursor];
    });
  }

  /** Deletes an ended job with its video. One that is not there is deleted. */
  async delete(jobId: string, options?: CallOptions): Promise<void> {
    const query = { job_id: jobId };
    try {
      await this.call(
        (api, init) => api.DELETE("/delete-video-job", { ...init, params: { query } }),
        options,
      );
    } catch (error) {
      // Also because a runtime may send a request again by itself, whose answer the connection has lost.
      if (!(error instanceof KinoraError) || error.code !== "ERR_4007") throw error;
    }
  }

  /** What the user can spend, what is held, owed and about to expire. */
  async credits(
    options?: CallOptions,
  ): Promise<Omit<Schemas["CreditsResponse"], "transactions" | "next_cursor">> {
    const query = { limit: 1 };
    const { transactions: _, next_cursor: __, ...credits } = await this.call(
      (api, init) => api.GET("/credits", { ...init, params: { query } }),
      options,
    );
    return credits;
  }

  /** All that has moved the user's credits, newest first; pages are asked for as they are needed. */
  transactions(
    query: Query<"/credits"> = {},
    options?: CallOptions,
  ): AsyncGenerator<Schemas["CreditsResponse"]["transactions"][number], void, undefined> {
    return pages(async (cursor) => {
      const page = await this.call(
        (api, init) => api.GET("/credits", { ...init, params: { query: { ...query, ...cursor } } }),
        options,
      );
      return [page.transactions, page.next_cursor];
    });
  }

  /**
   * Any endpoint of the API, by the client that is generated from it, as all that is above: `attempt` is called for each
   * try, and passes `init` on. Only for what may be sent twice: what reads, has an Idempotency-Key, or does nothing again.
   */
  async call<Data>(
    attempt: Attempt<Data>,
    options: CallOptions = {},
  ): Promise<Data> {
    return await this.#calls.call(attempt, options);
  }

  async #session(options: CallOptions = {}): Promise<Session | null> {
    return await persist(() => currentSession(this.#supabase), options);
  }
}

export { KinoraError };
export { pages } from "./calls.ts";
export type { StoreTransaction } from "./purchases.ts";
export { keepSession } from "./session.ts";
export type { News } from "./listening.ts";
export type { Action, ErrorCode, ErrorDetails } from "./errors.ts";
export type { BulkIntention, CallOptions, Intention, Store, Supabase };
export type Job = Schemas["Job"];
export type WatchedJob = Schemas["VideoStatusResponse"];
export type Model = Schemas["Model"];
export type AcceptedVideo = Schemas["AcceptedVideo"];
export type GenerateVideoRequest = Schemas["GenerateVideoRequest"];
export type DeviceCheck = Schemas["DeviceCheckResponse"];
export type Product = Schemas["Product"];
export type Purchase = Schemas["Purchase"];
export type Profile = Schemas["Profile"];
export type { components, paths } from "./openapi.ts";
