/** What each panel of Kinora's offers and faults shows while it loads, where that fails, where there is nothing, and to whom. */
import assert from "node:assert/strict";
import { shared } from "../shared.ts";
import { assertAccessible } from "./support/accessibility.ts";
import { type Admin, browserTest, startConsole } from "./support/console.ts";

const tested = shared(startConsole);
let admin: Admin;
Deno.test.beforeAll(async () => {
  admin = await tested.makeAdmin();
});

/** By name: what the endpoint answers where there is nothing, and what the panel says then. */
const panels: Record<string, { endpoint: string; nothing: object; says: string }> = {
  models: { endpoint: "admin-models", nothing: { models: [] }, says: "There are no models." },
  products: {
    endpoint: "admin-products",
    nothing: { products: [], waiting: [] },
    says: "There are no products.",
  },
  flags: { endpoint: "admin-flags", nothing: { flags: [] }, says: "There are no flags." },
  alerts: {
    endpoint: "admin-alerts",
    nothing: { alerts: [], rules: [], incidents: [], next_cursor: null },
    says: "Nothing waits for you.",
  },
  webhooks: { endpoint: "admin-webhooks", nothing: { webhooks: [] }, says: "No server is told anything." },
  "webhooks?webhook_id=b3f1c9d2-5e60-4a7b-8c14-9d20e6f7a835": {
    endpoint: "admin-webhook-deliveries",
    nothing: { deliveries: [], next_cursor: null },
    says: "There are no such deliveries.",
  },
  "dead-letters": {
    endpoint: "admin-queue",
    nothing: { kinds: [], tasks: [], next_cursor: null },
    says: "There are no dead letters.",
  },
  errors: {
    endpoint: "admin-errors",
    nothing: { errors: [], next_cursor: null },
    says: "There are no such errors.",
  },
  cases: {
    endpoint: "admin-reports",
    nothing: { cases: [], next_cursor: null },
    says: "There are no such cases.",
  },
};

for (const [name, { endpoint, nothing, says }] of Object.entries(panels)) {
  browserTest(`${name} says that it loads, that it failed, and that there is nothing`, async () => {
    await using visit = await tested.openAsAdmin("#/limits", { admin, expected: /Failed to load resource/ });
    const { page } = visit;
    const answered = Promise.withResolvers<void>();
    const fault = { success: false, error: { code: "ERR_4006", message: "You may not do that." } };
    const answers: [status: number, body: object][] = [[403, fault], [200, nothing]];
    await page.route(new RegExp(`/functions/v1/${endpoint}(\\?|$)`), async (route) => {
      const [status, json] = answers.shift() ?? [200, nothing];
      await answered.promise;
      await route.fulfill({ status, json });
    });
    await page.evaluate(`location.hash = "#/${name}"`);
    const loading = page.getByText("Loading …");
    await loading.last().waitFor();
    assert.equal(await page.getByText(says).count(), 0);
    await assertAccessible(page);
    answered.resolve();
    await page.getByRole("alert").getByText("You may not do that. (ERR_4006)").waitFor();
    assert.equal(await page.getByText(says).count(), 0);
    await assertAccessible(page);
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByText(says).waitFor();
    assert.equal(await loading.count() + await page.getByRole("button", { name: "Try again" }).count(), 0);
    await assertAccessible(page);
  });
}
