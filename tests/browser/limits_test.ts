/** The limits' panel, and with it what all panels have: loading, failing, coming back, and changes with a reason. */
import assert from "node:assert/strict";
import { shared } from "../shared.ts";
import { browserTest, startConsole } from "./support/console.ts";

const tested = shared(startConsole);

browserTest("an admin raises a limit with a reason, and sees it", async () => {
  const admin = await tested.makeAdmin();
  await using visit = await tested.openAsAdmin("#/limits", { admin });
  const { page } = visit;
  const row = page.getByRole("row", { name: /^replays / });
  await row.getByRole("button", { name: "Change the limit replays" }).click();
  const dialog = page.getByRole("dialog", { name: "Change the limit replays" });
  await dialog.getByLabel("At most").fill("77");
  await dialog.getByRole("button", { name: "Change" }).click();
  // Nothing is done without a reason.
  assert(await dialog.isVisible());
  await dialog.getByLabel("Reason").fill("A week of festivities");
  await dialog.getByRole("button", { name: "Change" }).click();
  await page.getByRole("status").getByText("replays admits 77").waitFor();
  await row.getByText("77").first().waitFor();
  const actions = await tested.backend.database.sql`
    select a.action::text, a.subject, a.reason from ops.admin_actions as a where a.admin_id = ${admin.id}`;
  assert.deepEqual([...actions].map((action) => ({ ...action })), [
    { action: "change_limit", subject: "policy replays", reason: "A week of festivities" },
  ]);
});

browserTest(
  "what an admin does not change is not written over what somebody else has changed since",
  async () => {
    await using visit = await tested.openAsAdmin("#/limits");
    const { page } = visit;
    const { sql } = tested.backend.database;
    await page.getByRole("button", { name: "Change the limit writes" }).click();
    await sql`update guard.policies set max_hits = 3 where name = 'writes'`;
    const dialog = page.getByRole("dialog", { name: "Change the limit writes" });
    await dialog.getByLabel("Within seconds").fill("77");
    await dialog.getByLabel("Reason").fill("A test");
    await dialog.getByRole("button", { name: "Change" }).click();
    await page.getByRole("status").getByText("writes admits 3").waitFor();
  },
);

browserTest("where Kinora is away a panel says so, and shows what there is when it is back", async () => {
  await using visit = await tested.openAsAdmin("#/limits", { expected: /Failed to load resource/ });
  const { page } = visit;
  await page.getByRole("row").nth(3).waitFor();
  await tested.backend.stack.functions.kill();
  const row = page.getByRole("row", { name: /^replays / });
  await row.getByRole("button", { name: "Change the limit replays" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Reason").fill("Nobody hears this");
  await dialog.getByRole("button", { name: "Change" }).click();
  await dialog.getByRole("alert").getByText("Kinora does not answer").waitFor();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await page.reload();
  await page.getByRole("alert").getByText("Kinora does not answer").waitFor();
  await tested.backend.stack.functions.start();
  await page.getByRole("button", { name: "Try again" }).click();
  await row.waitFor();
});

browserTest("a limit is changed with the keyboard alone", async () => {
  await using visit = await tested.openAsAdmin("#/limits");
  const { page } = visit;
  await page.getByRole("row", { name: /^exports / }).waitFor();
  const isAt = async (role: "link" | "button", name: string) =>
    await page.getByRole(role, { name }).and(page.locator(":focus")).count() === 1;
  const tabTo = async (name: string) => {
    for (let tabs = 0; !await isAt("button", name); tabs++) {
      assert(tabs < 100, `no way to ${name}`);
      await page.keyboard.press("Tab");
    }
  };
  await page.keyboard.press("Tab");
  assert(await isAt("link", "Skip to the content"));
  await page.keyboard.press("Enter");
  await tabTo("Change the limit exports");
  const dialog = page.getByRole("dialog");
  await page.keyboard.press("Enter");
  await dialog.waitFor();
  // The dialog takes the focus to its first field, keeps it, and gives it back.
  await page.keyboard.press("Control+A");
  await page.keyboard.type("2");
  await page.keyboard.press("Escape");
  assert.equal(await dialog.count(), 0);
  assert(await isAt("button", "Change the limit exports"));
  await page.keyboard.press("Enter");
  await dialog.waitFor();
  await page.keyboard.press("Control+A");
  await page.keyboard.type("2");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.type("For two weeks");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByRole("status").getByText("exports admits 2 within 1 d.").waitFor();
});
