/** What an operator does in the panels of what Kinora offers and of what went wrong, as they do it. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { ModelsResponse } from "../../supabase/functions/models/schema.ts";
import { startReceiver } from "../../local/simulators/receiver/receiver.ts";
import { eventually } from "../e2e/eventually.ts";
import { bodyOf } from "../e2e/support/answer.ts";
import { buy, createCustomer, creditsOf, untilTold } from "../e2e/support/shop.ts";
import { generate, kling } from "../e2e/support/videos.ts";
import { shared } from "../shared.ts";
import { type Admin, browserTest, startConsole } from "./support/console.ts";

const tested = shared(startConsole);
const receiver = shared(startReceiver);

/** Opens a change by its title, fills in what is asked beside the reason, and does it. */
async function change(page: Page, title: string, fill: Record<string, string> = {}): Promise<void> {
  const button = page.getByRole("button", { name: title, exact: true });
  const label = await button.innerText();
  await button.click();
  const dialog = page.getByRole("dialog", { name: title });
  for (const [name, value] of Object.entries(fill)) {
    await dialog.getByLabel(name, { exact: true }).fill(value);
  }
  await dialog.getByLabel("Reason").fill(`So that ${title}`);
  await dialog.getByRole("button", { name: label, exact: true }).click();
  await dialog.waitFor({ state: "detached" });
}

/** What an admin did, as it is written down: the action and what it was about. */
async function actionsOf({ id }: Admin): Promise<string[]> {
  const rows = await tested.backend.database.sql<{ action: string; reason: string }[]>`
    select a.action::text, a.reason from ops.admin_actions as a where a.admin_id = ${id} order by a.id`;
  return rows.map(({ action, reason }) => `${action}: ${reason}`);
}

// First, before the functions remember what is offered.
browserTest("a model that is turned off is gone from the catalogue, and accepts nothing", async () => {
  const { backend } = tested;
  const [admin, guest] = [await tested.makeAdmin(), await backend.signIn(10)];
  await using visit = await tested.openAsAdmin("#/models", { admin });
  const { page } = visit;
  const row = page.getByRole("row", { name: /^Kling 2.5/ });
  await row.getByText("offered", { exact: true }).waitFor();
  const name = await row.getByRole("rowheader").innerText();
  await change(page, `Turn off the model ${name}`);
  await row.getByText("off", { exact: true }).waitFor();
  const offered = async () =>
    bodyOf(await guest.call("models"), 200, ModelsResponse).models.some(({ id }) => id === kling);
  assert.equal(await offered(), false);
  await change(page, `Turn on the model ${name}`);
  await row.getByText("offered", { exact: true }).waitFor();
  // What is remembered is remembered for a minute at most.
  await backend.stack.functions.reload();
  assert.equal(await offered(), true);
  assert.deepEqual(await actionsOf(admin), [
    `disable_model: So that Turn off the model ${name}`,
    `enable_model: So that Turn on the model ${name}`,
  ]);
});

browserTest(
  "a purchase that cannot be credited is found, its product added, and it is credited",
  async () => {
    const { backend } = tested;
    const customer = await createCustomer(backend);
    await buy(backend, customer, { productId: "credits_300" });
    await untilTold(backend);
    await backend.stack.tick();
    const admin = await tested.makeAdmin();
    await using visit = await tested.openAsAdmin("#/products", { admin });
    const { page } = visit;
    const waiting = page.getByRole("region", { name: "Purchases that wait for a product" }).last();
    await waiting.getByRole("row", { name: /^credits_300 / }).getByRole("link", { name: customer.id })
      .waitFor();
    await change(page, "Add the product credits_300", {
      Name: "300 credits",
      Description: "For a season",
      Credits: "300",
    });
    await page.getByRole("status").getByText("credits_300 gives 300 credits").waitFor();
    await backend.stack.tick();
    // Without a click: the list is read again while somebody looks at it.
    await page.getByText("No purchase waits.").waitFor();
    assert.equal((await creditsOf(customer)).credits_remaining, 300);

    const product = page.getByRole("row", { name: /^credits_300 / });
    const description = "For a week.\nOr for two.";
    await backend.database.sql`
      update purchases.products set description = ${description} where product_id = 'credits_300'`;
    await page.reload();
    await change(page, "Change the product credits_300", { "Position, lower first": "7" });
    await product.getByRole("cell", { name: "7", exact: true }).waitFor();
    const [changed] = await backend.database.sql`
      select p.description from purchases.products as p where p.product_id = 'credits_300'`;
    assert.equal(changed?.description, description);
    assert.deepEqual(await actionsOf(admin), [
      "create_product: So that Add the product credits_300",
      "change_product: So that Change the product credits_300",
    ]);
  },
);

browserTest("a switch that is turned off holds at once", async () => {
  const { backend } = tested;
  const [admin, guest] = [await tested.makeAdmin(), await backend.signIn(10)];
  await using visit = await tested.openAsAdmin("#/flags", { admin });
  const { page } = visit;
  const row = page.getByRole("row", { name: /^generation / });
  const turn = async () => {
    await row.getByRole("button", { name: "Change the flag generation" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("On", { exact: true }).click();
    await dialog.getByLabel("Reason").fill("A drill");
    await dialog.getByRole("button", { name: "Change" }).click();
  };
  await turn();
  await row.getByText("off", { exact: true }).first().waitFor();
  const refused = await guest.call("generate-video", {
    body: { model_id: kling, prompt: "A fox" },
    key: crypto.randomUUID(),
  });
  assert.equal(refused.status, 503);
  await turn();
  await page.getByRole("status").getByText("generation is on.").waitFor();
  await generate(guest);
  assert.deepEqual(await actionsOf(admin), ["switch_flag: A drill", "switch_flag: A drill"]);
});

browserTest("rules of a flag that are no JSON are not sent, and others count at once", async () => {
  const { sql } = tested.backend.database;
  await sql`
    insert into ops.feature_flags (key, type, variants, default_variant, off_variant, description)
    values ('colour', 'string', '{"red": "#f00", "blue": "#00f"}', 'red', 'red', 'Of a button')`;
  await using visit = await tested.openAsAdmin("#/flags");
  const { page } = visit;
  await page.getByRole("button", { name: "Change the flag colour" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Rules, as JSON").fill(`[{"platforms": ["ios"], "variant": "blue"`);
  await dialog.getByLabel("Reason").fill("Blue is calmer");
  await dialog.getByRole("button", { name: "Change" }).click();
  assert.equal(await dialog.locator("textarea:invalid").count(), 1);
  await dialog.getByLabel("Rules, as JSON").fill(`[{"platforms": ["ios"], "variant": "blue"}]`);
  await dialog.getByRole("button", { name: "Change" }).click();
  const row = page.getByRole("row", { name: /^colour / });
  await row.getByText("1 rule").click();
  await row.getByText(`"variant": "blue"`).waitFor();
  const [flag] = await sql`select f.rules from ops.feature_flags as f where f.key = 'colour'`;
  assert.deepEqual(flag?.["rules"], [{ platforms: ["ios"], variant: "blue" }]);
});

browserTest("an alert is acknowledged, and a rule's threshold moved, with a reason each", async () => {
  const { sql } = tested.backend.database;
  await sql`select ops.raise_alert('fingerprint', 'a job of the test', '{"tries": 8}')`;
  const admin = await tested.makeAdmin();
  await using visit = await tested.openAsAdmin("#/alerts", { admin });
  const { page } = visit;
  const row = page.getByRole("row", { name: /^fingerprint a job of the test / });
  await change(page, "Acknowledge the alert fingerprint of a job of the test");
  await row.getByText("known since").waitFor();
  await change(page, "Change the rule spending", { Warning: "61.5" });
  await page.getByRole("row", { name: /^spending / }).getByText("≥ 61.5").waitFor();
  await sql`select ops.resolve_alert('fingerprint', 'a job of the test')`;
  await page.getByRole("radio", { name: "Resolved" }).check();
  await row.getByText("over at").waitFor();
  assert.match(page.url(), /status=resolved/);
  assert.deepEqual(await actionsOf(admin), [
    "acknowledge_alert: So that Acknowledge the alert fingerprint of a job of the test",
    "change_rule: So that Change the rule spending",
  ]);
});

browserTest("a dead letter is replayed", async () => {
  const { sql } = tested.backend.database;
  const [task] = await sql<{ id: string }[]>`
    insert into queue.tasks (kind, subject, priority, place, run_at, attempts, last_error, created_at, failed_at)
    values ('delete_files', gen_random_uuid(), 5, 0, core.now(), 10, 'storage answered 503', core.now(), core.now())
    returning id::text`;
  const admin = await tested.makeAdmin();
  await using visit = await tested.openAsAdmin("#/dead-letters", { admin });
  const { page } = visit;
  const row = page.getByRole("row", { name: new RegExp(`^delete_files ${task?.id} `) });
  await row.getByText("storage answered 503").waitFor();
  await page.getByLabel("Kind").fill("store");
  await page.keyboard.press("Enter");
  await page.getByText("There are no dead letters.").waitFor();
  await page.getByLabel("Kind").fill("delete_files");
  await page.keyboard.press("Enter");
  await change(page, `Replay delete_files ${task?.id}`);
  await row.waitFor({ state: "detached" });
  const dead = await sql`select from queue.tasks as t where t.id = ${
    task?.id ?? ""
  } and t.failed_at is not null`;
  assert.equal(dead.length, 0);
  assert.deepEqual(await actionsOf(admin), [`replay_task: So that Replay delete_files ${task?.id}`]);
});

browserTest("a webhook is made, its secret shown once, tested, sent again, changed and deleted", async () => {
  const { backend } = tested;
  const url = `${receiver.url}/operator`;
  const admin = await tested.makeAdmin();
  await using visit = await tested.openAsAdmin("#/webhooks", { admin });
  const { page } = visit;
  await page.getByText("No server is told anything.").waitFor();
  await page.getByRole("button", { name: "Create a webhook" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("URL").fill(url);
  await dialog.getByLabel("report.made").check();
  await dialog.getByLabel("Reason").fill("For our statistics");
  await dialog.getByRole("button", { name: "Create" }).click();
  await page.getByText(/^whsec_/).waitFor();
  await page.getByRole("button", { name: "I have it" }).click();
  assert.equal(await page.getByText(/^whsec_/).count(), 0);

  await page.getByRole("button", { name: `Send a test to ${url}` }).click();
  await page.getByRole("status").getByText("A test is on its way").waitFor();
  const heard = async (messages: number) =>
    await eventually(`${messages} messages came`, async () => {
      await backend.stack.tick();
      const { requests } = await receiver.control.report();
      return requests.length === messages ? true : undefined;
    });
  await heard(1);
  await page.getByRole("link", { name: `Deliveries to ${url}` }).click();
  const row = page.getByRole("row", { name: /^webhook.test / });
  await eventually("the page shows that it was delivered", async () => {
    await page.getByRole("button", { name: "Look again" }).click();
    return await row.getByText("delivered").count() === 1 ? true : undefined;
  });
  await row.getByText("200 after").waitFor();
  await row.getByRole("button", { name: /^Send again webhook.test / }).click();
  await page.getByRole("status").getByText("webhook.test is on its way again.").waitFor();
  await heard(2);
  const { requests: [first, second] } = await receiver.control.report();
  assert.equal(first?.headers["webhook-id"], second?.headers["webhook-id"]);

  await change(page, `Give the webhook ${url} a new secret`);
  await page.getByText(/^whsec_/).waitFor();
  await change(page, `Change the webhook ${url}`, { URL: `${url}/new` });
  await change(page, `Delete the webhook ${url}/new`);
  await page.getByText("No server is told anything.").waitFor();
  assert.deepEqual((await actionsOf(admin)).map((action) => action.split(":")[0]), [
    "create_webhook",
    "rotate_webhook_secret",
    "change_webhook",
    "delete_webhook",
  ]);
});

browserTest("errors are found by code, endpoint and request", async () => {
  const { sql } = tested.backend.database;
  const record = (code: string, endpoint: string, request: string, message: string) =>
    sql`select ops.record_error(${code}, ${endpoint}, null, ${request}, jsonb_build_object('error', jsonb_build_object('message', ${message}::text)))`;
  await record("ERR_6003", "models", "request-one", "The first fault");
  await record("ERR_6001", "credits", "request-two", "The second fault");
  await using visit = await tested.openAsAdmin("#/errors?code=ERR_6003");
  const { page } = visit;
  await page.getByRole("cell", { name: "The first fault" }).waitFor();
  assert.equal(await page.getByRole("cell", { name: "The second fault" }).count(), 0);
  await page.getByLabel("Code").fill("");
  await page.getByLabel("Request").fill("request-two");
  await page.getByRole("button", { name: "Filter" }).click();
  await page.getByRole("cell", { name: "The second fault" }).waitFor();
  assert.equal(await page.getByRole("cell", { name: "The first fault" }).count(), 0);
  await page.getByRole("link", { name: "request-two" }).waitFor();
});

browserTest("a case is decided, with a ground where the video is removed", async () => {
  const { backend } = tested;
  const guest = await backend.signIn(10);
  const { job_id } = await generate(guest, "A fox that somebody objects to");
  await backend.database.sql`
    insert into safety.cases (job_id, notices, opened_at, due_at) values (${job_id}, 1, core.now(), core.now() + '2 days')`;
  const admin = await tested.makeAdmin();
  await using visit = await tested.openAsAdmin("#/cases", { admin, expected: /Failed to load resource/ });
  const { page } = visit;
  const title = `Decide about the video of ${job_id}`;
  await page.getByRole("row", { name: new RegExp(`^${job_id} `) }).getByText("0 reports, 1 notice").click();
  assert(!(await page.content()).includes("A fox that"), "the prompt is nobody's to read by the way");
  await page.getByRole("button", { name: `Read the prompt of the job ${job_id}` }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Reason").fill("Whether it was asked for");
  await dialog.getByRole("button", { name: "Read the prompt" }).click();
  await page.getByText("A fox that somebody objects to").waitFor();
  await page.getByRole("button", { name: title }).click();
  await dialog.getByLabel("Decision").selectOption("remove");
  await dialog.getByLabel("Reason").fill("It is no fox");
  await dialog.getByRole("button", { name: "Decide" }).click();
  await dialog.getByRole("alert").getByText("ground: Must be there").waitFor();
  await dialog.getByLabel("Ground").selectOption("other");
  await dialog.getByRole("button", { name: "Decide" }).click();
  await page.getByRole("status").getByText("The case is removed.").waitFor();
  await page.getByText("There are no such cases.").waitFor();
  assert.deepEqual(await actionsOf(admin), [
    "read_prompt: Whether it was asked for",
    "remove_video: It is no fox",
  ]);
});
