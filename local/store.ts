/**
 * `deno task store`: plays customers and Apple in the simulated App Store of the stack that runs, and tells what came of it.
 */
import { type Deed, doInStore, type Done } from "./simulators/app-store/deeds.ts";
import { appStoreControl, type AppStoreReport } from "./simulators/app-store/control.ts";
import { readArguments, refuse, wholeNumber } from "./arguments.ts";
import { withConnection } from "./postgres/database.ts";
import { defaultDirectory, demoDirectory, readStatus } from "./served.ts";

const usage = `deno task store <command> [options]

Plays customers and Apple in the simulated App Store of deno task dev, or of deno task demo --serve.

  buy <product>             a customer buys; --user=<id> gives their app_account_token, or --token=<uuid>; none: whoever presents it
                            first. --quantity=<1-10>  --sandbox  --family  --price=<thousandths>  --account=<Apple Account>
  subscribe <product>       as buy; --trial: its first period is free. --period=<seconds> of each, a month without it
  renew <transaction>       the next period of the subscription, which any of its transactions names; it renews by itself when one ends
  upgrade <transaction>     --to=<product>, at once; downgrade: from the next period on
  cancel <transaction>      it is not renewed any more; expire: it is over now
  lapse <transaction>       the period is over now, and the next one is not paid; --grace=<days> that Apple wants them served
  recover <transaction>     it is paid after all
  present <transaction>     the transaction as StoreKit gives it to the app now
  request-refund <transaction>   the customer asks Apple for their money, and Apple asks what was used; --why=<Apple's reason>
  refund <transaction>      Apple pays it back, all of it or --percent=<1-99>; --issue: because of an issue with the app
  reverse <transaction>     Apple takes the refund back
  decline <transaction>     Apple refuses the refund
  revoke <transaction>      the family shares it no longer
  rescind-consent           a guardian takes their consent back; --account=<Apple Account>  --sandbox
  notify <TYPE>             a notification of any type; --subtype=<SUBTYPE>  --transaction=<id>  --sandbox
  list                      all that was bought, and what became of the notifications
  elapse <hours>            lets time pass, for notifications that are tried again
  next <how>                what becomes of the next notification: lost, duplicated, forged, other_app, other_environment, or late
  api <how>                 how the Server API answers from now on: down, slow, rate_limited, server_error, unauthorized, or well

  --data=<folder>           the one that deno task dev was given (.kinora)`;

const { values, positionals } = readArguments(usage, {
  options: {
    data: { type: "string" },
    user: { type: "string" },
    token: { type: "string" },
    quantity: { type: "string", default: "1" },
    price: { type: "string" },
    account: { type: "string", default: "customer" },
    sandbox: { type: "boolean", default: false },
    trial: { type: "boolean", default: false },
    period: { type: "string" },
    to: { type: "string" },
    grace: { type: "string", default: "0" },
    family: { type: "boolean", default: false },
    percent: { type: "string" },
    issue: { type: "boolean", default: false },
    why: { type: "string", default: "UNINTENDED_PURCHASE" },
    subtype: { type: "string" },
    transaction: { type: "string" },
  },
  allowPositionals: true,
});
const [command = "", subject, ...rest] = positionals;
if (rest.length > 0) refuse(`What is "${rest.join(" ")}"?\n\n${usage}`);

const environment = values.sandbox ? "Sandbox" : "Production";
const about = (): string => subject ?? refuse(`\`${command}\` needs more.\n\n${usage}`);

interface Status {
  APP_STORE_URL: string;
  DB_URL: string;
}

/** Where the stack is that runs. */
async function stackStatus(): Promise<Status> {
  const text = values.data === undefined
    ? await readStatus(defaultDirectory) ?? await readStatus(demoDirectory)
    : await readStatus(values.data);
  if (text === undefined) return refuse("No stack is running. `deno task dev` starts one.");
  if (text === null) return refuse("The stack is just starting.");
  return JSON.parse(text);
}

/** What the app gives as `appAccountToken` for the user. */
async function appAccountToken(databaseUrl: string): Promise<string | null> {
  const { user, token } = values;
  if (user === undefined) return token ?? null;
  const [row] = await withConnection(databaseUrl, (sql) =>
    sql<{ app_account_token: string }[]>`
      select u.app_account_token from accounts.users as u where u.id::text = ${user}`);
  return row?.app_account_token ?? refuse(`There is no user ${user}.`);
}

/** As it was asked for, if it was. */
function price(): { price?: number } {
  return values.price === undefined ? {} : { price: wholeNumber("price", values.price) };
}

async function deedOf(status: Status): Promise<Deed> {
  switch (command) {
    case "buy":
      return {
        deed: "buy",
        productId: about(),
        appAccountToken: await appAccountToken(status.DB_URL),
        quantity: wholeNumber("quantity", values.quantity),
        ...price(),
        familyShared: values.family,
        account: values.account,
        environment,
      };
    case "subscribe":
      return {
        deed: "subscribe",
        productId: about(),
        appAccountToken: await appAccountToken(status.DB_URL),
        ...price(),
        ...(values.period === undefined
          ? {}
          : { periodMilliseconds: wholeNumber("period", values.period) * 1_000 }),
        trial: values.trial,
        familyShared: values.family,
        account: values.account,
        environment,
      };
    case "renew":
    case "cancel":
    case "expire":
    case "recover":
      return { deed: command, subscription: about() };
    case "upgrade":
    case "downgrade": {
      const productId = values.to ?? refuse(`\`${command}\` needs --to=<product>.\n\n${usage}`);
      return { deed: command, subscription: about(), productId, ...price() };
    }
    case "lapse":
      return { deed: "lapse", subscription: about(), graceDays: wholeNumber("grace", values.grace) };
    case "present":
    case "reverse":
    case "decline":
    case "revoke":
      return { deed: command, transactionId: about() };
    case "refund": {
      const percentage = values.percent === undefined ? null : wholeNumber("percent", values.percent) * 1_000;
      return { deed: "refund", transactionId: about(), percentage, reason: values.issue ? 1 : 0 };
    }
    case "request-refund":
      return { deed: "request_refund", transactionId: about(), reason: values.why as "OTHER" };
    case "rescind-consent":
      return { deed: "rescind_consent", account: values.account, environment };
    case "notify": {
      const { subtype = null, transaction = null } = values;
      return { deed: "notify", type: about(), subtype, transactionId: transaction, environment };
    }
    default:
      return refuse(`There is no command "${command}".\n\n${usage}`);
  }
}

/** What the store's control does with the command; null where the command is none of its. */
async function controlled(url: string): Promise<string | null> {
  const control = appStoreControl(url);
  switch (command) {
    case "list":
      return listOf(await control.report());
    case "elapse":
      await control.elapse(wholeNumber("hours", about()) * 3_600_000);
      return `${subject} hours have passed for the store.`;
    case "next": {
      const how = about();
      const rule = how === "late" ? { milliseconds: 10_000 } : { delivery: how as "lost" };
      await control.rules({ for: "notification", ...rule });
      return how === "late"
        ? "The next notification comes ten seconds late."
        : `The next notification is ${how}.`;
    }
    case "api": {
      const how = about();
      await control.reset();
      if (how !== "well") {
        await control.rules({ for: "api", effect: how as "down", times: null, milliseconds: 15_000 });
      }
      return `The Server API answers ${
        how === "well" ? "as it should" : `as if it were ${how}`
      } from now on.`;
    }
    default:
      return null;
  }
}

function listOf({ transactions, notifications, deliveries, consumptions }: AppStoreReport): string {
  const bought = transactions.map((each) =>
    `  ${each.transactionId}  ${each.quantity} × ${each.productId}  ${each.environment}  ${
      each.revocationType === undefined
        ? "paid"
        : `${each.revocationType} ${(each.revocationPercentage ?? 100_000) / 1_000} %`
    }`
  );
  const told = notifications.map(({ id, type, subtype, transactionId }) => {
    const states = deliveries.filter(({ requestId }) => requestId === id).map((
      { state, lastStatus, attempts },
    ) => `${state}${attempts === 0 ? "" : `, answered ${lastStatus ?? "nothing"}`}`);
    return `  ${type}${subtype === null ? "" : ` ${subtype}`}  ${transactionId ?? ""}  ${
      states.join("; ") || "lost"
    }`;
  });
  const answered = consumptions.map(({ transactionId, inTime, body }) =>
    `  ${transactionId}  ${JSON.stringify(body)}${inTime ? "" : "  too late"}`
  );
  return [
    "Bought:",
    ...bought,
    "Told:",
    ...told,
    ...(answered.length === 0 ? [] : ["Answered about consumption:", ...answered]),
  ].join("\n");
}

/** What came of a deed, as soon as our server has answered the notification; one that comes late is not waited for. */
async function tellOf({ transactionId, signed, notificationId }: Done, url: string): Promise<string> {
  const lines = transactionId === null ? [] : [`transaction   ${transactionId}`];
  if (notificationId !== null) lines.push(`notification  ${await deliveryOf(notificationId, url)}`);
  const isWanted = ["buy", "present", "subscribe", "renew", "upgrade", "recover"].includes(command);
  if (signed !== null && isWanted) {
    lines.push("", "What StoreKit gives the app (signed_transaction of POST purchases):", signed);
  }
  return lines.join("\n");
}

async function deliveryOf(notificationId: string, url: string): Promise<string> {
  for (;;) {
    const { deliveries } = await appStoreControl(url).report();
    const own = deliveries.filter(({ requestId }) => requestId === notificationId);
    if (own.length === 0) return "lost, as it was asked for";
    // Each attempt ends: answered, or given up by the store after its timeout.
    if (own.every(({ attempts, dueAt }) => attempts > 0 || dueAt > Date.now())) {
      return own.map(({ attempts, lastStatus, state }) =>
        attempts === 0 ? "not sent yet" : `${state}, our server answered ${lastStatus ?? "nothing"}`
      ).join("; ");
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

try {
  const status = await stackStatus();
  const told = await controlled(status.APP_STORE_URL) ??
    await tellOf(await doInStore(status.APP_STORE_URL, await deedOf(status)), status.APP_STORE_URL);
  console.log(told);
} catch (error) {
  refuse(error instanceof Error ? error.message : String(error));
}
