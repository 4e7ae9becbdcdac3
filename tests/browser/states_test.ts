/** What each panel shows while it has nothing to show: while it asks, where there is nothing, and where that failed. */
import assert from "node:assert/strict";
import type { Route } from "playwright-core";
import { shared } from "../shared.ts";
import { assertAccessible, assertFits } from "./support/accessibility.ts";
import { browserTest, startConsole } from "./support/console.ts";

const tested = shared(startConsole);

interface State {
  readonly title: string;
  readonly hash: string;
  /** The endpoint without which it shows nothing. */
  readonly endpoint: string;
  /** What a project without anything has there. */
  readonly empty: string;
}

async function states(): Promise<State[]> {
  const { id } = await tested.backend.signIn();
  // Makes the row of whoever has called nothing yet.
  await tested.backend.database.sql`select from accounts.admit(${id})`;
  return [
    {
      title: "Alerts",
      hash: "#/overview",
      endpoint: "admin-alerts",
      empty: "No alert is open, and nothing is away.",
    },
    { title: "Now", hash: "#/overview", endpoint: "admin-stats", empty: "Spent at providers: nothing." },
    {
      title: "Found for “x”",
      hash: "#/search?query=x",
      endpoint: "admin-search",
      empty: "Nothing. An e-mail",
    },
    { title: "Jobs", hash: "#/jobs", endpoint: "admin-jobs", empty: "No jobs." },
    {
      title: `User ${id}`,
      hash: `#/users?user_id=${id}`,
      endpoint: "admin-users",
      empty: "Nothing has moved their credits.",
    },
  ];
}

browserTest(
  "each panel says that it is loading, that there is nothing, or what failed, and tries again",
  async () => {
    const admin = await tested.makeAdmin();
    for (const { title, hash, endpoint, empty } of await states()) {
      await using visit = await tested.openAsAdmin("#/limits", {
        admin,
        expected: /Failed to load resource/,
      });
      const { page } = visit;
      const asked = Promise.withResolvers<Route>();
      const path = `**/functions/v1/${endpoint}*`;
      await page.route(path, (route) => asked.resolve(route), { times: 1 });
      await page.goto(new URL(hash, page.url()).href);
      const panel = page.getByRole("region", { name: title, exact: true });
      await panel.getByText("Loading …").waitFor();
      assert.equal(await panel.getAttribute("aria-busy"), "true");
      await assertAccessible(page);
      await (await asked.promise).fulfill({
        status: 403,
        headers: { "access-control-allow-origin": "*" },
        json: {
          error: {
            code: "ERR_4006",
            message: "You are not allowed to do this.",
            details: {},
            request_id: "r-7",
          },
        },
      });
      await panel.getByRole("alert").getByText("You are not allowed to do this. (ERR_4006, request r-7)")
        .waitFor();
      await assertAccessible(page);
      await panel.getByRole("button", { name: "Try again" }).click();
      await page.getByText(empty).first().waitFor();
      assert.equal(await panel.getByRole("alert").count(), 0);
      assert.equal(await panel.getAttribute("aria-busy"), "false");
      await assertFits(page);
    }
  },
);

browserTest("without a query, and without a user, the panels say how one is found", async () => {
  await using visit = await tested.openAsAdmin("#/search");
  const { page } = visit;
  await page.getByText("Search by what a user sends").waitFor();
  await page.goto(new URL("#/users", page.url()).href);
  await page.getByText("Search for a user by their reference").waitFor();
  await page.goto(new URL(`#/jobs`, page.url()).href);
  await page.getByText("No jobs.").waitFor();
  // Typed into a field it is a character, elsewhere it leads to the search.
  await page.getByLabel("Provider").focus();
  await page.keyboard.type("a/b");
  assert.equal(await page.getByLabel("Provider").inputValue(), "a/b");
  await page.getByRole("button", { name: "Filter" }).focus();
  await page.keyboard.press("/");
  assert.equal(await page.getByLabel("Search users and jobs").and(page.locator(":focus")).count(), 1);
  assert.equal(await page.getByLabel("Search users and jobs").inputValue(), "");
});

browserTest("what there is not is said so", async () => {
  await using visit = await tested.openAsAdmin("#/limits", { expected: /Failed to load resource.*404/ });
  const { page } = visit;
  for (const hash of [`#/jobs?job_id=${crypto.randomUUID()}`, `#/users?user_id=${crypto.randomUUID()}`]) {
    await page.goto(new URL(hash, page.url()).href);
    await page.getByRole("alert").getByText("ERR_4007").waitFor();
    await assertAccessible(page);
  }
});
