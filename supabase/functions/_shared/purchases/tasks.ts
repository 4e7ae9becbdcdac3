/** What is done with the App Store when nobody waits: its questions are answered, and what it told in vain is fetched. */
import * as z from "zod/mini";
import type { Database } from "../database/call.ts";
import { whileDatabaseIsAway } from "../database/while-away.ts";
import type { Config } from "../platform/config.ts";
import { type Attempt, attemptOf, type Handlers, NeedsOperator, type Task } from "../queue/task.ts";
import type { AppStoreApi, AppStoreFailure } from "./app-store/server-api.ts";
import { readNotification, type StoreNotification } from "./app-store/notification.ts";

export interface PurchaseTaskPorts {
  readonly database: Database;
  readonly appStore: AppStoreApi | null;
  readonly config: Config;
  now(): number;
}

export const purchaseTasks: Handlers<PurchaseTaskPorts> = {
  answer_consumption: answerConsumption,
  read_notification_history: readNotificationHistory,
};

const environment = z.enum(["production", "sandbox"]);

/** What Apple is told; null where it is told nothing. */
const Consumption = z.object({
  state: z.enum(["due", "silent", "late", "answered"]),
  transaction_id: z.string(),
  environment,
  body: z.nullable(z.object({
    customerConsented: z.literal(true),
    consumptionPercentage: z.int(),
    deliveryStatus: z.enum(["DELIVERED", "UNDELIVERED_SERVER_OUTAGE", "UNDELIVERED_OTHER"]),
    refundPreference: z.enum(["DECLINE", "GRANT_FULL", "GRANT_PRORATED"]),
    sampleContentProvided: z.boolean(),
  })),
});

/** Tells Apple how much of a purchase was used, where its user agreed to that and its 12 hours are not over. */
async function answerConsumption(
  task: Task,
  { database, appStore }: PurchaseTaskPorts,
  { log }: Attempt,
): Promise<void> {
  const args = { p_transaction_id: task.subject };
  const { state, transaction_id, environment, body } = await database.call(
    "load_consumption",
    args,
    Consumption,
  );
  let answer: typeof body = null;
  if (body !== null && appStore !== null) {
    const told = await appStore.sendConsumption(environment, transaction_id, body);
    if ("failure" in told) {
      // A request that Apple will never take ends here; everything else is tried again until it is too late.
      if (told.failure !== "refused" && told.failure !== "not_found") {
        return await tryAgain(task, told, database);
      }
    } else answer = body;
  }
  const finish = { ...attemptOf(task), ...args, ...(answer === null ? {} : { p_answer: answer }) };
  await whileDatabaseIsAway(() =>
    database.call("finish_consumption", finish, z.object({ finished: z.boolean() }))
  );
  const isLost = state === "late" || (state === "due" && answer === null);
  log[isLost ? "warn" : "info"]("consumption", {
    transaction: task.subject,
    state,
    answered: answer !== null,
  });
}

const Period = z.object({ read_from: z.iso.datetime(), read_until: z.iso.datetime() });

/** Reads what Apple told since the last time, in both environments, and stores what never came. */
async function readNotificationHistory(
  task: Task,
  ports: PurchaseTaskPorts,
  { log, signal }: Attempt,
): Promise<void> {
  const { database, appStore, config } = ports;
  if (appStore !== null && config.appStore !== null) {
    const failures: AppStoreFailure[] = [];
    for (const environment of ["production", "sandbox"] as const) {
      const failure = await readEnvironment(environment, { ...ports, appStore }, { log, signal });
      if (signal.aborted) return;
      if (failure !== null) {
        failures.push(failure);
        log.warn("notification_history_unread", { environment, ...failure });
      }
    }
    // Apple takes no key in production before the app's first release there: a key that the sandbox takes is good.
    const isKeyRefused = failures.filter(({ failure }) => failure === "unauthorized").length === 2;
    const failure = isKeyRefused ? failures[0] : failures.find(({ failure }) => failure !== "unauthorized");
    if (failure !== undefined) return await tryAgain(task, failure, database);
  }
  await whileDatabaseIsAway(() =>
    database.call("finish_notification_history", attemptOf(task), z.object({ finished: z.boolean() }))
  );
}

/**
 * What is read at a time, at first: known once all its pages are there, so that an attempt that ends too early has not worked
 * in vain. In two minutes, the longest attempt, some 4,000 notifications are read. As long as a slice has but one page, the
 * next one is twice as long: the month before a first start is a few requests.
 */
const sliceMilliseconds = 6 * 60 * 60_000;

type HistoryPorts = PurchaseTaskPorts & { appStore: AppStoreApi };

/** Reads what an environment's history lacks, slice by slice; what Apple did not do, or null. */
async function readEnvironment(
  environment: "production" | "sandbox",
  ports: HistoryPorts,
  { log, signal }: Attempt,
): Promise<AppStoreFailure | null> {
  const { read_from, read_until } = await ports.database.call(
    "load_notification_history",
    { p_environment: environment },
    Period,
  );
  const end = Date.parse(read_until);
  let missing = 0;
  let from = Date.parse(read_from);
  let length = sliceMilliseconds;
  while (from < end && !signal.aborted) {
    const to = Math.min(end, from + length);
    const slice = { from: new Date(from), to: new Date(to) };
    const read = await readSlice(environment, slice, ports, { log, signal });
    if ("failure" in read) return read;
    missing += read.missing;
    from = to;
    length = read.pages === 1 ? 2 * length : sliceMilliseconds;
  }
  log[missing > 0 ? "warn" : "info"]("notification_history", { environment, missing });
  return null;
}

async function readSlice(
  environment: "production" | "sandbox",
  slice: { readonly from: Date; readonly to: Date },
  { database, appStore, config, now }: HistoryPorts,
  { log, signal }: Attempt,
): Promise<{ missing: number; pages: number } | AppStoreFailure> {
  let missing = 0;
  let pages = 0;
  let token: string | null = null;
  do {
    const page = await appStore.notificationHistory(environment, slice, token);
    if ("failure" in page) return page;
    const notifications: StoreNotification[] = [];
    for (const signedPayload of page.signedPayloads) {
      if (config.appStore === null) break;
      const read = await readNotification(signedPayload, config.appStore, new Date(now()));
      if ("notification" in read) notifications.push(read.notification);
      else log.warn("store_notification_refused", { reason: read.refusal, source: "history" });
    }
    token = page.nextToken;
    const recorded = await database.call("record_notification_history", {
      p_environment: environment,
      p_notifications: notifications,
      // Only once all of it is there.
      ...(token === null ? { p_read_until: slice.to.toISOString() } : {}),
    }, z.object({ missing: z.int() }));
    missing += recorded.missing;
    pages++;
  } while (token !== null && !signal.aborted);
  return { missing, pages };
}

/** Gives the task back, with what Apple said. What only the operator can mend alerts. */
async function tryAgain(
  task: Task,
  { failure, retryAfter, cause }: AppStoreFailure,
  database: Database,
): Promise<void> {
  if (failure === "unauthorized") {
    throw new NeedsOperator(cause, {
      rule: "app_store_key_refused",
      subject: "APP_STORE_KEY_ID",
      details: {},
    });
  }
  const args = { ...attemptOf(task), p_error: `${failure}: ${cause}`, p_after_seconds: retryAfter };
  await whileDatabaseIsAway(() => database.call("retry_task", args, z.unknown()));
}
