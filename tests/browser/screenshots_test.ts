/**
 * The pictures of docs/operations/console.md: panels of a small project with one job that failed, one dead letter and one
 * purchase that waits. `deno task screenshots` writes them; else they are only taken.
 */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { deadTask } from "../e2e/support/example-requests.ts";
import { buy, createCustomer, type Customer, untilTold } from "../e2e/support/shop.ts";
import { ended, generate } from "../e2e/support/videos.ts";
import { shared } from "../shared.ts";
import { browserTest, startConsole } from "./support/console.ts";
import { screenshotsVariable } from "./support/screenshots.ts";

const tested = shared(() => startConsole({ tickMilliseconds: 500 }));
const folder = new URL("../../docs/operations/console/", import.meta.url);
const isWritten = Deno.env.get(screenshotsVariable) !== undefined;

/** A customer with three videos, of which the last failed, and what waits for the operator. */
async function live(): Promise<{ customer: Customer; failed: string }> {
  const { backend } = tested;
  const { sql } = backend.database;
  const customer = await createCustomer(backend);
  await sql`select credits.add_credits(${customer.id}, 30, 'for a picture')`;
  await backend.stack.simulators.fal.control.rules({ prompt: "A river without an end", outcome: "failed" });
  let failed = "";
  for (const prompt of ["A red fox in fresh snow", "A harbour at dawn", "A river without an end"]) {
    ({ job_id: failed } = await generate(customer, prompt));
    await ended(backend, customer, failed);
  }
  await buy(backend, customer, { productId: "credits_300" });
  await untilTold(backend);
  await deadTask(backend);
  await sql`select ops.raise_alert('provider_refuses', 'fal', '{"status": 401}')`;
  return { customer, failed };
}

browserTest("the panels that the operator is shown in words come up as they are pictured", async () => {
  const { customer, failed } = await live();
  await using visit = await tested.openAsAdmin("#/overview?span=hour", {
    viewport: { width: 1100, height: 760 },
    colorScheme: "light",
  });
  const { page } = visit;
  const heading = (name: string | RegExp) => page.getByRole("heading", { name }).first().waitFor();
  await page.getByRole("figure").nth(3).waitFor();
  await take(page, "overview", { fullPage: true });
  for (
    const [name, hash, title] of [
      ["job", `#/jobs?job_id=${failed}`, /^Job /],
      ["user", `#/users?user_id=${customer.id}`, /^User /],
      ["products", "#/products", /^Products/],
      ["dead-letters", "#/dead-letters", "Dead letters"],
    ] as const
  ) {
    await page.goto(new URL(hash, page.url()).href);
    await heading(title);
    await page.locator("[aria-busy=true]").first().waitFor({ state: "detached" });
    await take(page, name);
  }
  await page.goto(new URL("#/try", page.url()).href);
  const phone = page.getByRole("region", { name: "Simulated phone" });
  await phone.getByRole("button", { name: /^Start as a guest/ }).click();
  await phone.getByLabel("What should happen?").fill("A red fox runs through fresh snow");
  await phone.getByRole("button", { name: "Make the video" }).click();
  await phone.getByRole("group", { name: "Progress" }).getByText("Ready").waitFor();
  await take(page, "try");
});

async function take(page: Page, name: string, options: { fullPage?: boolean } = {}): Promise<void> {
  const picture = await page.screenshot({ ...options, animations: "disabled" });
  assert(picture.length > 5_000, `${name} is empty`);
  if (!isWritten) return;
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeFile(new URL(`${name}.png`, folder), picture);
}
