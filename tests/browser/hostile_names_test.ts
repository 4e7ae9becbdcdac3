/** What strangers, providers and other servers wrote is text in the panels, whatever it looks like. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { startReceiver } from "../../local/simulators/receiver/receiver.ts";
import { eventually } from "../e2e/eventually.ts";
import { generate, kling } from "../e2e/support/videos.ts";
import { shared } from "../shared.ts";
import { assertAccessible, assertNotScrolled } from "./support/accessibility.ts";
import { type Admin, browserTest, startConsole } from "./support/console.ts";

const tested = shared(startConsole);
const receiver = shared(startReceiver);

/** Each does something where it is taken for markup, an attribute, an address or code. */
const hostile = [
  `<img src=x onerror="globalThis.hit = 1">`,
  `"><svg onload=globalThis.hit=1>`,
  `</td></table><script>globalThis.hit=1</script>`,
  `<a href="javascript:globalThis.hit=1">here</a>`,
  `<iframe srcdoc="<script>parent.hit=1</script>">`,
  `<style>*{display:none}</style>`,
  `\${globalThis.hit=1}{{globalThis.hit=1}}`,
];
const [first = ""] = hostile;

/** Writes all of them wherever the panels show what others wrote. */
async function writeEverywhere(): Promise<void> {
  const { backend } = tested;
  const { sql } = backend.database;
  const guest = await backend.signIn(10);
  const { job_id } = await generate(guest, hostile.join(" "));
  await sql`update videos.models set name = ${first} where id = ${kling}`;
  await sql`insert into ops.incidents (subject, began_at, cause) values ('storage', core.now(), ${first})`;
  const [opened] = await sql<{ id: string }[]>`
    insert into safety.cases (job_id, reports, notices, opened_at) values (${job_id}, 1, 7, core.now()) returning id`;
  const caseId = opened?.id ?? "";
  await sql`
    insert into safety.reports (case_id, user_id, reason, details, created_at)
    values (${caseId}, ${guest.id}, 'other', ${first}, core.now())`;
  for (const [index, text] of hostile.entries()) {
    await sql`
      insert into purchases.products (product_id, kind, name, description, credits)
      values (${text}, 'consumable', ${text}, ${text}, 1)`;
    await sql`
      insert into ops.feature_flags (key, type, variants, default_variant, off_variant, description)
      values (${`hostile-${index}`}, 'string', jsonb_build_object('on', ${text}::text), 'on', 'on', ${text})`;
    await sql`
      select ops.raise_alert('fingerprint', ${text}, jsonb_build_object('what', ${text}::text, ${text}::text, 1))`;
    await sql`
      insert into queue.tasks
        (kind, subject, request_id, priority, place, run_at, attempts, last_error, created_at, failed_at)
      values ('delete_files', gen_random_uuid(), ${text}, 5, 0, core.now(), 10, ${text}, core.now(), core.now())`;
    await sql`
      select ops.record_error('ERR_6003', ${`hostile-${"abcdefg"[index]}`}, null, ${text},
        jsonb_build_object('error', jsonb_build_object('message', ${text}::text)))`;
    await sql`
      insert into safety.notices (case_id, contact, statement, received_at)
      values (${caseId}, ${text}, ${text}, core.now())`;
  }
}

/** Has a server tell them, and gives the panel of its deliveries. */
async function hearThem(page: Page): Promise<string> {
  await receiver.control.rules({ effect: "answer", times: null, body: hostile.join("\n") });
  await page.evaluate(`location.hash = "#/webhooks"`);
  await page.getByRole("button", { name: "Create a webhook" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("URL").fill(`${receiver.url}/hostile`);
  await dialog.getByLabel("webhook.test").check();
  await dialog.getByLabel("Reason").fill("For a test");
  await dialog.getByRole("button", { name: "Create" }).click();
  await page.getByRole("button", { name: /^Send a test to/ }).click();
  return await eventually("the message was delivered", async () => {
    await tested.backend.stack.tick();
    const [delivered] = await tested.backend.database.sql<{ webhook_id: string }[]>`
      select d.target as webhook_id from events.deliveries as d where d.channel = 'webhook' and d.outcome = 'delivered'`;
    return delivered && `webhooks?webhook_id=${delivered.webhook_id}`;
  });
}

/** What hostile text would have made of the page. */
async function assertText(page: Page, panel: string, texts: readonly string[]): Promise<void> {
  for (const text of texts) {
    await page.getByText(text, { exact: false }).first().waitFor({ state: "attached" });
  }
  assert.equal(await page.evaluate("globalThis.hit"), undefined, panel);
  const made = "img, iframe, main svg, main style, main script, [onerror], [onload], a[href^='javascript']";
  assert.equal(await page.locator(made).count(), 0, panel);
}

browserTest("hostile names are text in every panel, also in dialogs and what is announced", async () => {
  await writeEverywhere();
  const admin: Admin = await tested.makeAdmin();
  await using visit = await tested.openAsAdmin("#/limits", { admin, viewport: { width: 320, height: 900 } });
  const { page } = visit;
  const deliveries = await hearThem(page);
  const everywhere: Record<string, readonly string[]> = {
    models: [first],
    products: hostile,
    flags: hostile,
    alerts: hostile,
    [deliveries]: hostile,
    "dead-letters": hostile,
    errors: hostile,
    cases: hostile,
  };
  for (const [panel, texts] of Object.entries(everywhere)) {
    await page.evaluate(`location.hash = "#/${panel}"`);
    await assertText(page, panel, texts);
    for (const details of await page.locator("main details").all()) await details.locator("summary").click();
    await assertText(page, panel, texts);
    await assertAccessible(page);
    await assertNotScrolled(page);
  }
  await page.evaluate(`location.hash = "#/models"`);
  await page.getByRole("button", { name: `Turn off the model ${first}` }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Reason").fill(first);
  await dialog.getByRole("button", { name: "Turn off" }).click();
  await page.getByRole("status").getByText(`${first} is not offered any more.`).waitFor();
  await assertText(page, "models", [first]);
});
