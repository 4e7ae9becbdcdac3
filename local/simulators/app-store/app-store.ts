/**
 * Apple's App Store on one machine: customers buy and are refunded on command, transactions and notifications are signed as
 * Apple signs them, our server is told with Apple's patience, and the Server API answers. README.md tells the switches.
 */
import * as z from "zod";
import { tryParseJson } from "../../../supabase/functions/_shared/platform/json.ts";
import {
  type Authority,
  createAuthority,
  openAuthority,
  type StoredAuthority,
} from "../../../supabase/functions/_shared/testing/app-store/authority.ts";
import { type ApiAnswer, gatewayError } from "../engine/api.ts";
import { takeRule } from "../engine/control.ts";
import { startDeliveries } from "../engine/deliveries.ts";
import { hangUp } from "../engine/loopback-server.ts";
import { keepRequest } from "../engine/request-log.ts";
import { type Simulator, startSimulator } from "../engine/simulator.ts";
import { stateFile } from "../engine/state-file.ts";
import { type AppStoreReport, appStoreReport, type ReportedCall } from "./control.ts";
import { type CompleteDeed, type Deed, deed, doInStore, type Done } from "./deeds.ts";
import {
  appleDeliveryPolicy,
  signAppTransaction,
  signTransaction,
  tell,
  type Teller,
} from "./notifications.ts";
import { type ActiveApiRule, type AppStoreRule, appStoreRule, type Operation } from "./rules.ts";
import {
  answerCall,
  type ApiAccount,
  authorizer,
  failure,
  route,
  sandboxPath,
  unauthenticated,
} from "./server-api.ts";
import {
  findTransaction,
  ImpossibleDeed,
  type Outcome,
  perform,
  type StoreApp,
  type StoreState,
  storeState,
  storeTime,
} from "./store.ts";
import { isSubscriptionDeed, nextDueAt, passTime, performOnSubscription } from "./subscriptions.ts";

export type { AppStoreRule } from "./rules.ts";

export interface AppStoreOptions extends StoreApp {
  /** A free one without it. */
  readonly port?: number;
  /** Where transactions, notifications and what is due live on between two starts. */
  readonly stateFile?: string;
  readonly account: ApiAccount;
  readonly authority: StoredAuthority;
  /** What a retry waits, for tests that do not let time pass: Apple's hours without it. */
  readonly retryMilliseconds?: number;
}

/** Its `url` is for APP_STORE_API_URL. */
export interface AppStoreSimulator extends Simulator<AppStoreRule, AppStoreReport> {
  /** For APP_STORE_SANDBOX_API_URL. */
  readonly sandboxUrl: string;
  /** For APP_STORE_ROOT_CERTIFICATE. */
  readonly rootCertificate: string;
  /** Where notifications go from now on, as App Store Connect is told it. */
  notify(url: string): void;
  /** What a customer or Apple does. Throws what cannot be done. */
  do(what: Deed): Promise<Done>;
}

/** The longest that a timer waits: it is asked again then. */
const longestTimeout = 2 ** 31 - 1;

/** Starts the store, with what an earlier one with the same state file sold. */
export async function startAppStoreSimulator(options: AppStoreOptions): Promise<AppStoreSimulator> {
  await using starting = new AsyncDisposableStack();
  const { bundleId, appAppleId, retryMilliseconds } = options;
  const file = stateFile(options.stateFile, storeState);
  const state: StoreState = file.load() ?? storeState.parse({});
  const log: ReportedCall[] = [];
  const save = () => file.save(state);
  const authority = await openAuthority(options.authority);
  let another: Promise<Authority> | undefined;
  const stranger = () => another ??= createAuthority().then(openAuthority);
  const teller: Teller = { state, authority, stranger, app: { bundleId, appAppleId } };
  const isOurs = await authorizer(options.account, bundleId);

  const deliveries = starting.use(startDeliveries({
    all: () => state.deliveries,
    bodyOf({ id, requestId }) {
      const genuine = state.notifications.find((each) => each.id === requestId)?.signedPayload;
      return JSON.stringify({ signedPayload: state.bodies[id] ?? genuine });
    },
    sign: () => Promise.resolve({ "content-type": "application/json", accept: "application/json" }),
    policy: retryMilliseconds === undefined
      ? appleDeliveryPolicy
      : { ...appleDeliveryPolicy, pauses: appleDeliveryPolicy.pauses.map(() => retryMilliseconds) },
    changed: save,
  }));

  async function doDeed(what: CompleteDeed): Promise<Done> {
    const none = { transactionId: null, signed: null, notificationId: null };
    switch (what.deed) {
      case "app_transaction":
        return { ...none, signed: await signAppTransaction(teller, what.account, what.environment) };
      case "rescind_consent":
        return { ...none, notificationId: await tell(teller, { type: "RESCIND_CONSENT" }, what) };
      case "notify": {
        const { transactionId, environment } = what;
        const subject = transactionId === null
          ? { environment }
          : { transaction: findTransaction(state, transactionId) };
        return { ...none, transactionId, notificationId: await tell(teller, what, subject) };
      }
    }
    return await tellOutcome(
      isSubscriptionDeed(what)
        ? performOnSubscription(state, teller.app, what)
        : perform(state, teller.app, what),
    );
  }

  async function tellOutcome({ transaction, told }: Outcome): Promise<Done> {
    const signed = transaction && await signTransaction(teller, transaction);
    const notificationId = transaction && told && await tell(teller, told, { transaction });
    return { transactionId: transaction?.transactionId ?? null, signed, notificationId };
  }

  /** Tells what the clock brought, and waits for what it brings next. */
  let alarm: ReturnType<typeof setTimeout> | undefined;
  let isOver = false;
  starting.defer(() => {
    isOver = true;
    clearTimeout(alarm);
  });
  async function keepTime(): Promise<void> {
    for (const outcome of passTime(state)) await tellOutcome(outcome);
    if (isOver) return;
    save();
    deliveries.schedule();
    clearTimeout(alarm);
    const due = nextDueAt(state);
    if (due === null) return;
    alarm = setTimeout(keepTime, Math.min(Math.max(0, due - storeTime(state)), longestTimeout));
  }

  async function answerDeed(request: Request): Promise<Response> {
    const what = deed.safeParse(tryParseJson(await request.text()));
    if (!what.success) return new Response(z.prettifyError(what.error), { status: 400 });
    try {
      const done = await doDeed(what.data);
      await keepTime();
      return Response.json(done);
    } catch (error) {
      if (!(error instanceof ImpossibleDeed)) throw error;
      return new Response(error.message, { status: 409 });
    }
  }

  /** Null where the connection closes instead. */
  async function answerApi(
    asked: NonNullable<ReturnType<typeof route>>,
    request: Request,
    body: unknown,
    pause: (milliseconds: number) => Promise<void>,
  ): Promise<ApiAnswer | null> {
    const rule = takeApiRule(state, asked.operation);
    switch (rule?.effect) {
      case "down":
        return null;
      case "rate_limited": {
        const answer = failure(4290000, "Rate limit exceeded.");
        return { ...answer, headers: { "retry-after": String(Date.now() + rule.milliseconds) } };
      }
      case "server_error":
        return failure(5000000, "An unknown error occurred.");
      case "unauthorized":
        return unauthenticated;
      case "gateway":
        return gatewayError(502);
      case "garbage":
        return { status: 200, body: "<html>It works!</html>" };
      case "slow":
        await pause(rule.milliseconds);
        break;
    }
    if (!await isOurs(request.headers.get("authorization"))) return unauthenticated;
    const answer = await answerCall(teller, asked, { body, url: new URL(request.url) });
    return rule?.effect === "answer_lost" ? null : answer;
  }

  const simulator = starting.use(
    await startSimulator({
      ...{ port: options.port, rule: appStoreRule, rules: state.rules, log, report: appStoreReport, save },
      tell() {
        const { transactions, subscriptions, notifications, deliveries, consumptions } = state;
        return { transactions, subscriptions, notifications, deliveries, consumptions };
      },
      async elapse(milliseconds) {
        state.ahead += milliseconds;
        deliveries.elapse(milliseconds);
        await keepTime();
      },
      async answer(request, pause) {
        const { pathname } = new URL(request.url);
        if (pathname === "/_store") return await answerDeed(request);
        const asked = route(request.method, pathname);
        if (asked === null) return toResponse(failure(4040000, "Not found."));
        const text = await request.text();
        const body = text === "" ? null : tryParseJson(text) ?? text;
        const entry = keepRequest(log, {
          at: storeTime(state),
          ...asked,
          body,
          status: null as number | null,
        });
        const answer = await answerApi(asked, request, body, pause);
        entry.status = answer?.status ?? null;
        save();
        deliveries.schedule();
        return answer === null ? hangUp : toResponse(answer);
      },
    }),
  );

  await keepTime();
  const running = starting.move();
  return {
    ...simulator,
    sandboxUrl: `${simulator.url}${sandboxPath}`,
    rootCertificate: authority.rootCertificate,
    notify(url) {
      state.notificationUrl = url;
      save();
    },
    do: (what) => doInStore(simulator.url, what),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

function takeApiRule(state: StoreState, operation: Operation): ActiveApiRule | null {
  const rule = takeRule(
    state.rules,
    (each) => each.for === "api" && (each.operation === undefined || each.operation === operation),
  );
  return rule?.for === "api" ? rule : null;
}

function toResponse({ status, body, headers }: ApiAnswer): Response {
  const text = body === null || typeof body === "string" ? body : JSON.stringify(body);
  return new Response(text, { status, headers: { "content-type": "application/json", ...headers } });
}
