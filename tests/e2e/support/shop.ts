/** A backend that sells, and its customers. */
import assert from "node:assert/strict";
import * as z from "zod";
import type { Deed, Done } from "../../../local/simulators/app-store/deeds.ts";
import { advanceClock } from "../../../local/testing/settable-clock.ts";
import { eventually } from "../eventually.ts";
import { bodyOf } from "./answer.ts";
import type { Backend, Guest } from "./backend.ts";

/** What the tests sell: 100 credits for one. */
export const pack = "credits_100";

/** Puts the pack on sale; a second call changes nothing. */
export async function sellPack({ database }: Backend): Promise<void> {
  await database.sql`
    insert into purchases.products (product_id, kind, name, description, credits)
    values (${pack}, 'consumable', 'A pack', '', 100) on conflict do nothing`;
}

export interface Customer extends Guest {
  readonly appAccountToken: string;
}

/** A guest whose app knows what to give StoreKit. */
export async function createCustomer(backend: Backend): Promise<Customer> {
  const guest = await backend.signIn();
  const profile = bodyOf(await guest.call("user-profile"), 200, z.object({ app_account_token: z.guid() }));
  return { ...guest, appAccountToken: profile.app_account_token };
}

/** What a customer buys, as StoreKit hands it to the app. */
export async function buy(
  { stack }: Backend,
  customer: Customer,
  more: Partial<Extract<Deed, { deed: "buy" }>> = {},
): Promise<Done & { transactionId: string; signed: string }> {
  const bought = await stack.simulators.appStore.do({
    deed: "buy",
    productId: pack,
    appAccountToken: customer.appAccountToken,
    ...more,
  });
  assert(bought.transactionId !== null && bought.signed !== null);
  return { ...bought, transactionId: bought.transactionId, signed: bought.signed };
}

/** Presents a transaction as the app does. */
export function present(customer: Guest, signedTransaction: string) {
  return customer.call("purchases", { body: { signed_transaction: signedTransaction } });
}

const credits = z.object({
  credits_remaining: z.number(),
  credits_held: z.number(),
  credits_owed: z.number(),
});

export async function creditsOf(customer: Guest): Promise<z.infer<typeof credits>> {
  return bodyOf(await customer.call("credits"), 200, credits);
}

const purchases = z.object({
  purchases: z.array(z.object({ product_id: z.string(), status: z.string(), credits_added: z.number() })),
});

/** What their app shows of their purchases, but for ids and times. */
export async function purchasesOf(customer: Guest): Promise<z.infer<typeof purchases>["purchases"]> {
  return bodyOf(await customer.call("purchases"), 200, purchases).purchases;
}

/** Lets so much time pass for the store and for us. */
export async function letTimePass({ stack, database }: Backend, milliseconds: number): Promise<void> {
  await advanceClock(database.sql, milliseconds);
  await stack.simulators.appStore.control.elapse(milliseconds);
}

/** Waits until no notification is on its way that is due now. */
export async function untilTold({ stack }: Backend): Promise<void> {
  await eventually("every notification that is due was sent", async () => {
    const { deliveries } = await stack.simulators.appStore.control.report();
    const isUnderWay = deliveries.some(({ state, dueAt, attempts }) =>
      state === "due" && (dueAt <= Date.now() || attempts === 0)
    );
    return isUnderWay ? undefined : true;
  });
}

/** Ticks until no task of this kind is left. */
export async function untilDone({ stack, database }: Backend, kind: string): Promise<void> {
  await eventually(`no ${kind} is left`, async () => {
    await stack.tick();
    const [open] = await database.sql`
      select from queue.tasks as t where t.kind = ${kind} and t.failed_at is null limit 1`;
    return open === undefined ? true : undefined;
  });
}
