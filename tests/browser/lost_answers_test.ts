/** What the page does with a change whose answer is lost, or late: it is done once, and its admin knows how far it came. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { shared } from "../shared.ts";
import { signInWithPassword } from "../e2e/support/backend.ts";
import { browserTest, startConsole } from "./support/console.ts";

const tested = shared(startConsole);
const expected = /Failed to load resource/;
const headers = { "access-control-allow-origin": "*" };

async function customer() {
  const user = await signInWithPassword(tested.backend.stack);
  await tested.backend.database.sql`select credits.add_credits(${user.id}, 10, 'for a test')`;
  return user;
}

async function refundsOf(userId: string): Promise<number[]> {
  const rows = await tested.backend.database.sql<{ amount: number }[]>`
    select a.amount::int from ops.admin_actions as a
    where a.user_id = ${userId} and a.action = 'refund_credits' order by a.id`;
  return rows.map(({ amount }) => amount);
}

async function openRefund(page: Page, userId: string, reason: string) {
  await page.getByRole("button", { name: `Refund the user ${userId}` }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Credits").fill("5");
  await dialog.getByLabel("Reason").fill(reason);
  return { dialog, submit: () => dialog.getByRole("button", { name: "Refund", exact: true }).click() };
}

/** Does what is sent next, and answers so that nobody knows; the wait is longer than the page's. */
async function loseNext(page: Page, endpoint: string) {
  await page.route(`**/functions/v1/${endpoint}`, async (route) => {
    await route.fetch();
    const error = { code: "ERR_6001", message: "Away", details: { retry_after: 60 }, request_id: "r-1" };
    await route.fulfill({ status: 503, headers, json: { error } });
  }, { times: 1 });
}

browserTest("a refund whose answer is lost is paid once, however it is sent again", async () => {
  const { id } = await customer();
  await using visit = await tested.openAsAdmin(`#/users?user_id=${id}`, { expected });
  const { page } = visit;
  await loseNext(page, "admin-refund-credits");
  const first = await openRefund(page, id, "So that");
  await first.submit();
  await first.dialog.getByRole("alert").getByText("may have been done").waitFor();
  await page.keyboard.press("Escape");
  const balance = page.getByRole("definition").filter({ hasText: /^15 credits$/ });
  await balance.waitFor();

  await page.evaluate(`location.hash = "#/limits"`);
  await page.getByRole("heading", { name: "Rate limits" }).waitFor();
  await page.goBack();
  const other = await openRefund(page, id, "So that it is clear");
  await other.dialog.getByRole("alert").getByText("may have been done").waitFor();
  // Clicked on and on, it is the key of the first.
  for (let click = 0; click < 2; click++) {
    await other.submit();
    await other.dialog.getByRole("alert").getByText(/ERR_4011.* may have been done/).waitFor();
  }
  assert.deepEqual(await refundsOf(id), [5]);
  // Whoever has looked, and wants it all the same, gets it.
  await other.dialog.getByRole("button", { name: "Cancel" }).click();
  const second = await openRefund(page, id, "So that it is more");
  assert.equal(await second.dialog.getByRole("alert").count(), 0);
  await second.submit();
  await page.getByRole("status").getByText(`Refunded 5 credits to the user ${id}. Their balance is 20.`)
    .waitFor();
  assert.deepEqual(await refundsOf(id), [5, 5]);

  await loseNext(page, "admin-refund-credits");
  const lost = await openRefund(page, id, "Once more");
  await lost.submit();
  await lost.dialog.getByRole("alert").getByText("may have been done").waitFor();
  await page.keyboard.press("Escape");
  const same = await openRefund(page, id, "Once more");
  await same.submit();
  await page.getByRole("status").getByText("Their balance is 25.").waitFor();
  assert.deepEqual(await refundsOf(id), [5, 5, 5]);
});

browserTest("a webhook whose making was not answered is there once, and in the list", async () => {
  await using visit = await tested.openAsAdmin("#/webhooks", { expected });
  const { page } = visit;
  let sent = 0;
  await page.route("**/functions/v1/admin-webhooks", async (route) => {
    if (route.request().method() !== "POST") return await route.fallback();
    sent++;
    await route.fetch();
    await route.abort();
  });
  await page.getByRole("button", { name: "Create a webhook" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("URL").fill("https://lost.example.com/");
  await dialog.getByLabel("everything").check();
  await dialog.getByLabel("Reason").fill("For our statistics");
  await dialog.getByRole("button", { name: "Create" }).click();
  await dialog.getByRole("alert").getByText("Kinora does not answer. What was sent may have been done")
    .waitFor();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("rowheader", { name: "https://lost.example.com/" }).waitFor();
  assert.equal(sent, 1);
});

browserTest("a change that is on its way stays open, and tells whoever left whom it was about", async () => {
  const [{ id }, { id: other }] = [await customer(), await customer()];
  await using visit = await tested.openAsAdmin(`#/users?user_id=${other}`);
  const { page } = visit;
  await page.evaluate(`location.hash = "#/users?user_id=${id}"`);
  const answered = Promise.withResolvers<void>();
  await page.route("**/functions/v1/admin-refund-credits", async (route) => {
    await answered.promise;
    await route.continue();
  });
  const { dialog, submit } = await openRefund(page, id, "So that");
  await submit();
  // The second one is not asked about: it closes the dialog, which opens again.
  for (let press = 0; press < 2; press++) await page.keyboard.press("Escape");
  await dialog.waitFor();
  assert.equal(await dialog.getByLabel("Reason").inputValue(), "So that");
  assert(await dialog.getByRole("button", { name: "Cancel" }).isDisabled());
  await page.goBack();
  await page.getByRole("heading", { name: `User ${other}` }).waitFor();
  answered.resolve();
  await page.getByRole("status").getByText(`to the user ${id}`).waitFor();
});

browserTest("what is asked again by itself waits while a dialog is open", async () => {
  await using visit = await tested.openAsAdmin("#/limits");
  const { page } = visit;
  let asked = 0;
  const waiting = {
    product_id: "credits_9",
    kind: "consumable",
    quantity: 1,
    user_id: null,
    purchased_at: "2026-01-01T00:00:00Z",
    transaction_id: "1",
    environment: "Production",
  };
  await page.route(
    "**/functions/v1/admin-products",
    async (route) =>
      await route.fulfill({ headers, json: { products: [], waiting: asked++ === 0 ? [waiting] : [] } }),
  );
  await page.clock.install();
  await page.evaluate(`location.hash = "#/products"`);
  await page.getByRole("button", { name: "Add the product credits_9" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("Nine credits");
  await page.clock.fastForward(16_000);
  assert.equal(await dialog.getByLabel("Name").inputValue(), "Nine credits");
  assert.equal(asked, 1);
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await page.clock.fastForward(16_000);
  await page.getByText("No purchase waits.").waitFor();
});

browserTest("a list whose next page failed is begun anew where that is asked for", async () => {
  await using visit = await tested.openAsAdmin("#/limits", { expected });
  const { page } = visit;
  const cursors: (string | null)[] = [];
  await page.route("**/functions/v1/admin-webhook-deliveries?*", async (route) => {
    const cursor = new URL(route.request().url()).searchParams.get("cursor");
    cursors.push(cursor);
    const delivery = {
      delivery_id: "one",
      type: "webhook.test",
      event_id: "two",
      status: "delivered",
      reason: null,
      attempts: 1,
      created_at: "2026-01-01T00:00:00Z",
      attempted_at: null,
      next_attempt_at: null,
      response: null,
    };
    const error = { code: "ERR_4007", message: "It is not there", details: {} };
    await route.fulfill(
      cursor === null
        ? { headers, json: { deliveries: [delivery], next_cursor: "more" } }
        : { status: 404, headers, json: { error } },
    );
  });
  await page.evaluate(`location.hash = "#/webhooks?webhook_id=${crypto.randomUUID()}"`);
  await page.getByRole("button", { name: "More" }).click();
  const wrong = page.getByRole("alert").getByText("ERR_4007");
  await wrong.waitFor();
  await page.getByRole("button", { name: "Look again" }).click();
  await wrong.waitFor({ state: "detached" });
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("button", { name: "Try again" }).click();
  await wrong.waitFor();
  assert.deepEqual(cursors.slice(0, 3), [null, "more", null]);
  assert.deepEqual(cursors.slice(3), ["more", "more"]);
});
