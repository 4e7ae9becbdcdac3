/** Products as an admin adds and changes them, and what was paid before the product was there. */
import assert from "node:assert/strict";
import { AdminProduct, ListProductsResponse } from "../../supabase/functions/admin-products/schema.ts";
import { CreditedPurchase } from "../../supabase/functions/_shared/purchases/contract.ts";
import { ProductsResponse } from "../../supabase/functions/products/schema.ts";
import { shared } from "../shared.ts";
import { bodyOf, errorOf } from "./support/answer.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { buy, createCustomer, creditsOf, type Customer, present, untilTold } from "./support/shop.ts";

const backend = shared(startBackend);
let admin: Guest;

Deno.test.beforeAll(async () => {
  admin = await backend.signInAdmin();
});
Deno.test.afterEach(() => backend.proveLedger());

const reason = "As App Store Connect has it";

function productOf(product_id: string, kind: AdminProduct["kind"] = "consumable") {
  return { product_id, kind, name: "A pack", description: "Of credits", credits: 300 };
}

const add = (product: object) => admin.call("admin-products", { body: { ...product, reason } });
const change = (product: object) =>
  admin.call("admin-products", { method: "PATCH", body: { ...product, reason } });
const list = async () => bodyOf(await admin.call("admin-products"), 200, ListProductsResponse);
const waitingOf = async (customer: Customer) =>
  (await list()).waiting.filter(({ user_id }) => user_id === customer.id);

/** After it, what is credited within the minute is what an admin has hastened: the clock stands. */
const tick = () => backend.stack.tick();

async function subscribe({ appAccountToken }: Customer, productId: string) {
  const { transactionId } = await backend.stack.simulators.appStore.do({
    deed: "subscribe",
    productId,
    appAccountToken,
    account: appAccountToken,
  });
  assert(transactionId !== null);
  return transactionId;
}

// First, before the functions remember what is sold.
Deno.test("a purchase of an unknown product waits before the admin's eyes, and is credited once they add it", async () => {
  const customer = await createCustomer(backend);
  const { transactionId, signed } = await buy(backend, customer, { productId: "credits_300" });
  assert.deepEqual(errorOf(await present(customer, signed), "ERR_4016").details, {
    reason: "unknown_product",
  });
  await untilTold(backend);
  await tick();
  const [waiting, ...others] = await waitingOf(customer);
  assert(waiting !== undefined && others.length === 0);
  const { purchased_at: _, ...bought } = waiting;
  assert.deepEqual(bought, {
    transaction_id: transactionId,
    environment: "production",
    product_id: "credits_300",
    kind: "consumable",
    quantity: 1,
    user_id: customer.id,
  });

  const added = bodyOf(await add(productOf("credits_300")), 201, AdminProduct);
  assert.deepEqual(added, {
    ...productOf("credits_300"),
    trial_credits: 0,
    is_available: true,
    is_featured: false,
    position: 0,
  });
  await tick();
  assert.equal((await creditsOf(customer)).credits_remaining, 300);
  assert.deepEqual(await waitingOf(customer), []);
  const presented = bodyOf(await present(customer, signed), 200, CreditedPurchase);
  assert.equal(presented.status, "already_credited");

  const { products } = bodyOf(await customer.call("products"), 200, ProductsResponse);
  assert.deepEqual(products.find(({ product_id }) => product_id === "credits_300"), {
    ...productOf("credits_300"),
    is_featured: false,
  });
});

Deno.test("a level of a subscription that was added as something else is credited once its kind is mended", async () => {
  const customer = await createCustomer(backend);
  bodyOf(await add(productOf("max_monthly")), 201, AdminProduct);
  const transactionId = await subscribe(customer, "max_monthly");
  await untilTold(backend);
  await tick();
  const [waiting] = await waitingOf(customer);
  assert.deepEqual([waiting?.transaction_id, waiting?.kind], [transactionId, "subscription"]);
  bodyOf(await change({ product_id: "max_monthly", kind: "subscription" }), 200, AdminProduct);
  await tick();
  assert.equal((await creditsOf(customer)).credits_remaining, 300);
  assert.deepEqual(await waitingOf(customer), []);
});

Deno.test("what is taken off is shown to the admin alone, and credited to whoever has paid for it", async () => {
  const product = productOf("credits_old");
  bodyOf(await add(product), 201, AdminProduct);
  const changed = bodyOf(
    await change({ product_id: "credits_old", is_available: false, position: 9 }),
    200,
    AdminProduct,
  );
  assert.deepEqual([changed.is_available, changed.position, changed.credits], [false, 9, 300]);
  assert.deepEqual((await list()).products.at(-1), changed, "in the operator's order");
  const customer = await createCustomer(backend);
  const { signed } = await buy(backend, customer, { productId: "credits_old" });
  assert.equal(bodyOf(await present(customer, signed), 200, CreditedPurchase).credits_added, 300);
});

Deno.test("a product is added once, and each change is written down with what was before and after", async () => {
  const product = productOf("credits_7");
  bodyOf(await add(product), 201, AdminProduct);
  assert.deepEqual(errorOf(await add(product), "ERR_4009").details, { status: "exists" });
  errorOf(await change({ product_id: "credits_8", credits: 8 }), "ERR_4007");
  for (const _ of ["once", "again"]) {
    bodyOf(await change({ product_id: "credits_7", credits: 7 }), 200, AdminProduct);
  }
  const written = await backend.database.sql<
    { action: string; before: number | null; after: number; reason: string; admin_id: string }[]
  >`
    select a.action, (a.details #>> '{before,credits}')::int as before, (a.details #>> '{after,credits}')::int as after,
      a.reason, a.admin_id
    from ops.admin_actions as a where a.subject = 'product credits_7' order by a.id`;
  assert.deepEqual(written.map((row) => ({ ...row })), [
    { action: "create_product", before: null, after: 300, reason, admin_id: admin.id },
    { action: "change_product", before: 300, after: 7, reason, admin_id: admin.id },
  ]);
});
