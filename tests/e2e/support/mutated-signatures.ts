/** A program that is run on both versions of Deno: how many of so many mutations are believed. Prints it as one line of JSON. */
import { mutated } from "../../../supabase/functions/_shared/testing/app-store/mutations.ts";
import { readNotification } from "../../../supabase/functions/_shared/purchases/app-store/notification.ts";
import { readTransaction } from "../../../supabase/functions/_shared/purchases/app-store/transaction.ts";
import {
  notificationPayload,
  signedAt,
  testAppStore,
  transactionPayload,
} from "../../../supabase/functions/_shared/testing/app-store/signed-data.ts";

const count = Number(Deno.args[0]);
const store = await testAppStore();
const transaction = await store.sign(transactionPayload());
const notification = await store.sign(notificationPayload({ data: { signedTransactionInfo: transaction } }));
const believed: string[] = [];
const reasons = new Set<string>();
for (let seed = 0; seed < count; seed++) {
  const isTransaction = seed % 2 === 0;
  const original = isTransaction ? transaction : notification;
  const jws = mutated(original, seed);
  if (jws === original) continue;
  const answer = await (isTransaction ? readTransaction : readNotification)(
    jws,
    store.configuration,
    signedAt,
  );
  if ("refusal" in answer) reasons.add(answer.refusal);
  else believed.push(`${isTransaction ? "transaction" : "notification"} ${seed}`);
}
const valid = await readNotification(notification, store.configuration, signedAt);
console.log(
  JSON.stringify({
    believed,
    reasons: [...reasons],
    valid: "notification" in valid,
    version: Deno.version.deno,
  }),
);
