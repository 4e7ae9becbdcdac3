/** How the simulated App Store tells our server: what it signs, what its rules make of it, and when it tries again. */
import { randomUUID } from "node:crypto";
import type { Authority } from "../../../supabase/functions/_shared/testing/app-store/authority.ts";
import { takeRule } from "../engine/control.ts";
import type { Delivery } from "../engine/deliveries.ts";
import type { ActiveNotificationRule } from "./rules.ts";
import {
  appTransactionId,
  nextSignedDate,
  type Notification,
  type StoreApp,
  type StoreState,
  type Told,
  type Transaction,
} from "./store.ts";
import { renewalInfo } from "./subscriptions.ts";

const hour = 60 * 60_000;
/** As Apple's documents have it: after 1, 12, 24, 48 and 72 hours, each from the attempt before. */
export const appleDeliveryPolicy = {
  timeoutMilliseconds: 30_000,
  pauses: [1, 12, 24, 48, 72].map((hours) => hours * hour),
};

/** What a store needs in order to tell something. */
export interface Teller {
  readonly state: StoreState;
  readonly app: StoreApp;
  readonly authority: Authority;
  /** Another store's, whose signatures nobody believes; made when it is needed. */
  readonly stranger: () => Promise<Authority>;
}

/** Signed as of now. */
export function signTransaction({ state, authority }: Teller, transaction: Transaction): Promise<string> {
  return authority.sign({ ...transaction, signedDate: nextSignedDate(state) });
}

/** With what is said of a subscription's next period, signed as of now. */
async function signRenewal(
  { state, authority }: Teller,
  transaction: Transaction,
): Promise<{ signedRenewalInfo?: string }> {
  const renewal = renewalInfo(state, transaction);
  if (renewal === null) return {};
  return { signedRenewalInfo: await authority.sign({ ...renewal, signedDate: nextSignedDate(state) }) };
}

/** StoreKit's `AppTransaction`. */
export function signAppTransaction(
  { state, app, authority }: Teller,
  account: string,
  environment: string,
): Promise<string> {
  return authority.sign({
    appTransactionId: appTransactionId(account, environment),
    ...app,
    applicationVersion: "1",
    originalApplicationVersion: "1",
    originalPurchaseDate: 1_700_000_000_000,
    originalPlatform: "iOS",
    receiptType: environment,
    receiptCreationDate: nextSignedDate(state),
  });
}

type Environment = Notification["environment"];

/** What a notification is about. */
export type Subject =
  | { readonly transaction: Transaction }
  | { readonly account: string; readonly environment: Environment }
  | { readonly environment: Environment };

/** Writes it into the history, and what is to be delivered of it. Gives its id. */
export async function tell(teller: Teller, told: Told, subject: Subject): Promise<string> {
  const { state } = teller;
  const id = randomUUID();
  const signedPayload = await signNotification(teller, id, told, subject, {});
  const environment = "transaction" in subject ? subject.transaction.environment : subject.environment;
  state.notifications.push({
    id,
    type: told.type,
    subtype: told.subtype ?? null,
    environment,
    transactionId: "transaction" in subject ? subject.transaction.transactionId : null,
    signedDate: state.lastSignedDate,
    signedPayload,
  });
  if (state.notificationUrl === null) return id;
  const { delivery: how = "genuine", milliseconds = 0 } = takeNotificationRule(state, told.type) ?? {};
  const makes = { genuine: 1, lost: 0, duplicated: 2, forged: 1, other_app: 1, other_environment: 1 };
  for (let made = 0; made < makes[how]; made++) {
    const isGenuine = how === "genuine" || how === "duplicated";
    const delivery: Delivery = {
      ...{ id: randomUUID(), requestId: id, url: state.notificationUrl, dueAt: Date.now() + milliseconds },
      ...{ kind: isGenuine ? "genuine" : "forged", attempts: 0, state: "due", lastStatus: null },
    };
    // Before it is there to be sent: another delivery that ends meanwhile sends all that is due.
    if (!isGenuine) state.bodies[delivery.id] = await signInstead(teller, how, id, told, subject);
    state.deliveries.push(delivery);
  }
  return id;
}

function takeNotificationRule(state: StoreState, type: string): ActiveNotificationRule | null {
  const rule = takeRule(
    state.rules,
    (each) => each.for === "notification" && (each.type === undefined || each.type === type),
  );
  return rule?.for === "notification" ? rule : null;
}

/** What an attacker sends in its place. */
async function signInstead(
  teller: Teller,
  how: ActiveNotificationRule["delivery"],
  id: string,
  told: Told,
  subject: Subject,
): Promise<string> {
  if (how === "forged") {
    return await signNotification({ ...teller, authority: await teller.stranger() }, id, told, subject, {});
  }
  const environment = "transaction" in subject ? subject.transaction.environment : subject.environment;
  const changes = how === "other_app"
    ? { bundleId: `${teller.app.bundleId}.other`, appAppleId: teller.app.appAppleId + 1 }
    : { environment: environment === "Production" ? "Sandbox" : "Production" };
  return await signNotification(teller, id, told, subject, changes);
}

/** `ResponseBodyV2DecodedPayload`, signed; `changes` are to what it says about the app. */
async function signNotification(
  teller: Teller,
  notificationUUID: string,
  { type, subtype = null, consumptionRequestReason }: Told,
  subject: Subject,
  changes: Readonly<Record<string, unknown>>,
): Promise<string> {
  const { state, app, authority } = teller;
  const environment = "transaction" in subject ? subject.transaction.environment : subject.environment;
  const about = { ...app, environment, ...changes };
  const part = "account" in subject
    ? {
      appData: {
        ...about,
        signedAppTransactionInfo: await signAppTransaction(teller, subject.account, environment),
      },
    }
    : {
      data: {
        ...about,
        bundleVersion: "1",
        ...("transaction" in subject
          ? {
            signedTransactionInfo: await signTransaction(teller, subject.transaction),
            ...(await signRenewal(teller, subject.transaction)),
          }
          : {}),
        ...(consumptionRequestReason === undefined ? {} : { consumptionRequestReason }),
      },
    };
  return await authority.sign({
    notificationType: type,
    ...(subtype === null ? {} : { subtype }),
    notificationUUID,
    version: "2.0",
    signedDate: nextSignedDate(state),
    ...part,
  });
}
