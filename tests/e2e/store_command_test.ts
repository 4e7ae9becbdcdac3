/** `deno task store`, against a stack that says where it is. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { startStack } from "../../local/stack.ts";
import { writeStatus } from "../../local/served.ts";
import { readDocument } from "../contract/documents.ts";
import { testDatabase } from "../database/harness.ts";
import { signIn } from "./support/backend.ts";

const program = fileURLToPath(new URL("../../local/store.ts", import.meta.url));

async function startShop() {
  await using starting = new AsyncDisposableStack();
  const directory = await Deno.makeTempDir();
  starting.defer(() => Deno.remove(directory, { recursive: true }));
  const database = starting.use(await testDatabase());
  const stack = starting.use(
    await startStack({ databaseUrl: database.url, dataDirectory: directory, tickMilliseconds: Infinity }),
  );
  await writeStatus(directory, stack);
  const running = starting.move();
  return {
    stack,
    /** Runs the command, which must end well, or badly where `fails` says so. */
    async store(args: string[], fails = false): Promise<string> {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", program, `--data=${directory}`, ...args],
        stdin: "null",
      }).output();
      const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
      assert.equal(code, fails ? 1 : 0, `${args.join(" ")}: ${said}`);
      return said;
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

Deno.test("a developer plays every case from the command line, and is told what came of it", async () => {
  await using shop = await startShop();
  const { store, stack } = shop;
  const bought = await store(["buy", "credits_100", "--quantity=2", `--token=${crypto.randomUUID()}`]);
  assert.match(bought, /^transaction {3}\d{16}\nnotification {2}delivered, our server answered 200\n/);
  assert.match(bought, /\n[\w-]+\.[\w-]+\.[\w-]+\n$/);
  const [, id = ""] = /(\d{16})/.exec(bought) ?? [];
  const delivered = "notification  delivered, our server answered 200\n";
  const cases: [string[], string][] = [
    [["request-refund", id, "--why=OTHER"], `transaction   ${id}\n${delivered}`],
    [["refund", id, "--percent=25", "--issue"], `transaction   ${id}\n${delivered}`],
    [["refund", id], `transaction   ${id}\n${delivered}`],
    [["reverse", id], `transaction   ${id}\n${delivered}`],
    [["rescind-consent"], delivered],
    [["notify", "BRAND_NEW", "--subtype=ODD", `--transaction=${id}`], `transaction   ${id}\n${delivered}`],
    [["next", "forged"], "The next notification is forged.\n"],
    [["decline", id], `transaction   ${id}\nnotification  given_up, our server answered 401\n`],
    [["next", "lost"], "The next notification is lost.\n"],
    [["decline", id], `transaction   ${id}\nnotification  lost, as it was asked for\n`],
    [["next", "late"], "The next notification comes ten seconds late.\n"],
    [["elapse", "12"], "12 hours have passed for the store.\n"],
    [["api", "down"], "The Server API answers as if it were down from now on.\n"],
  ];
  for (const [args, said] of cases) assert.equal(await store(args), said, args.join(" "));
  const { rules, transactions } = await stack.simulators.appStore.control.report();
  assert.deepEqual(rules.map((rule) => rule.for), ["api"], "what was asked for before is forgotten");
  assert.deepEqual(transactions.map(({ quantity, revocationType }) => [quantity, revocationType]), [[
    2,
    undefined,
  ]]);
  await store(["api", "well"]);
  assert.match(
    await store(["list"]),
    new RegExp(`${id} {2}2 × credits_100 {2}Production {2}paid[^]*BRAND_NEW ODD`),
  );
  assert.match(await store(["present", id]), /\n[\w-]+\.[\w-]+\.[\w-]+\n$/);
});

Deno.test("the commands of docs/purchases.md work as they are written", async () => {
  await using shop = await startShop();
  const guest = await signIn(shop.stack);
  await guest.call("user-profile");
  const { text } = await readDocument("docs/purchases.md");
  const lines = Array.from(
    text.matchAll(/^ {4}npx .* task store ([^#\n]+)/gm),
    ([, line = ""]) => line.trim(),
  );
  assert(lines.length > 7);
  let transaction = "";
  for (const line of lines.filter((line) => line !== "--help")) {
    const said = await shop.store(
      line.replace("<user id>", guest.id).replace("<transaction>", transaction).split(" "),
    );
    // What follows is about what was bought last.
    if (/^(buy|subscribe) /.test(line)) transaction = /^transaction {3}(\d+)$/m.exec(said)?.[1] ?? "";
  }
  const { transactions, notifications } = await shop.stack.simulators.appStore.control.report();
  assert.deepEqual(
    transactions.map(({ environment, appAccountToken }) => [environment, appAccountToken !== undefined]),
    [
      ["Production", true],
      ["Sandbox", false],
      // Subscribed, renewed, upgraded and recovered.
      ...Array.from({ length: 4 }, () => ["Production", true]),
    ],
  );
  assert.deepEqual(notifications.map(({ type }) => type), [
    ...["ONE_TIME_CHARGE", "CONSUMPTION_REQUEST", "REFUND", "REFUND_REVERSED", "ONE_TIME_CHARGE"],
    ...["SUBSCRIBED", "DID_RENEW", "DID_CHANGE_RENEWAL_PREF", "DID_FAIL_TO_RENEW", "DID_RENEW"],
  ]);
});

Deno.test("a developer plays a subscription's life, which renews by itself", async () => {
  await using shop = await startShop();
  const { store, stack } = shop;
  const begun = await store(["subscribe", "plus_monthly", "--trial", `--token=${crypto.randomUUID()}`]);
  assert.match(begun, /^transaction {3}\d{16}\nnotification {2}delivered, our server answered 200\n/);
  const [, id = ""] = /(\d{16})/.exec(begun) ?? [];
  for (
    const args of [
      ["renew", id],
      ["upgrade", id, "--to=pro_monthly"],
      ["downgrade", id, "--to=plus_monthly"],
      ["cancel", id],
      ["lapse", id, "--grace=16"],
      ["recover", id],
      ["expire", id],
      ["subscribe", "pro_monthly", "--period=3600"],
    ]
  ) assert.match(await store(args), /delivered, our server answered 200/, args.join(" "));
  // Two periods of an hour each, and the second one's end.
  await store(["elapse", "2"]);
  const { transactions, subscriptions } = await stack.simulators.appStore.control.report();
  assert.deepEqual(
    transactions.map((each) => [each.productId, each.transactionReason, each.offerDiscountType]),
    [
      ["plus_monthly", "PURCHASE", "FREE_TRIAL"],
      ["plus_monthly", "RENEWAL", undefined],
      ["pro_monthly", "PURCHASE", undefined],
      ["plus_monthly", "RENEWAL", undefined],
      ["pro_monthly", "PURCHASE", undefined],
      ["pro_monthly", "RENEWAL", undefined],
      ["pro_monthly", "RENEWAL", undefined],
    ],
  );
  assert.deepEqual(subscriptions.length, 1, "an Apple Account has one of the group");
  assert.equal(new Set(transactions.map((each) => each.originalTransactionId)).size, 1);
});

Deno.test("what cannot be done is refused with its reason", async () => {
  await using shop = await startShop();
  const cases: [string[], RegExp][] = [
    [["refund", "1"], /There is no transaction 1/],
    [["refund"], /needs more/],
    [["renew", "1"], /There is no transaction 1/],
    [["upgrade", "1"], /needs --to/],
    [["sell", "1"], /There is no command "sell"/],
    [["buy", "credits_100", "100"], /What is "100"/],
    [["buy", "credits_100", "--quantity=many"], /--quantity takes a whole number/],
    [["buy", "credits_100", `--user=${crypto.randomUUID()}`], /There is no user/],
    [["next", "nowhere"], /400/],
  ];
  for (const [args, why] of cases) assert.match(await shop.store(args, true), why, args.join(" "));
});
