/** Somebody complains: the operator finds them and their job, reads what happened, and makes it good. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { shared } from "../shared.ts";
import { signInWithPassword } from "../e2e/support/backend.ts";
import { bodyOf, errorOf } from "../e2e/support/answer.ts";
import { AcceptedVideo } from "../../supabase/functions/_shared/videos/contract.ts";
import { ended, generate, kling, referenceOf, submissionIs } from "../e2e/support/videos.ts";
import { assertFits } from "./support/accessibility.ts";
import { browserTest, startConsole } from "./support/console.ts";

const tested = shared(startConsole);

/** Asks the field in the header, as one does by keyboard. */
async function search(page: Page, query: string) {
  await page.keyboard.press("/");
  await page.keyboard.press("Control+A");
  await page.keyboard.type(query);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: `Found for “${query}”` }).waitFor();
}

/** Fills in a dialog that a button of this name opens, and does it. */
async function change(page: Page, title: string, label: string, fields: Record<string, string>) {
  await page.getByRole("button", { name: title }).click();
  const dialog = page.getByRole("dialog", { name: title });
  for (const [name, value] of Object.entries(fields)) await dialog.getByLabel(name).fill(value);
  await dialog.getByRole("button", { name: label }).click();
  await dialog.waitFor({ state: "detached" });
}

/** What admins did about a user, the first first. */
async function actionsOf(userId: string) {
  const rows = await tested.backend.database.sql`
    select a.action::text, a.amount::int, a.reason, a.job_id from ops.admin_actions as a
    where a.user_id = ${userId} order by a.created_at, a.id`;
  return rows.map((row) => ({ ...row }));
}

browserTest(
  "a stuck job is found by whatever its user sends, told, refunded, and its user banned",
  async () => {
    const { backend } = tested;
    const { sql } = backend.database;
    await backend.stack.simulators.fal.control.rules({ prompt: "An endless river", outcome: "never" });
    const user = await signInWithPassword(backend.stack);
    await sql`select credits.add_credits(${user.id}, 10, 'for a test')`;
    const named = `draft-${crypto.randomUUID()}`;
    const { job_id: jobId } = bodyOf(
      await user.call("generate-video", {
        body: { model_id: kling, prompt: "An endless river", client_reference: named },
        key: crypto.randomUUID(),
      }),
      202,
      AcceptedVideo,
    );
    await submissionIs(backend, jobId, "accepted");
    const [sent] = await sql<{ request: string; email: string; provider_request: string }[]>`
    select j.request_id as request, u.email, s.request_id as provider_request
    from videos.jobs as j join auth.users as u on u.id = j.user_id join videos.submissions as s on s.job_id = j.id
    where j.id = ${jobId}`;
    assert(sent);

    await using visit = await tested.openAsAdmin("#/overview");
    const { page } = visit;
    await page.getByRole("heading", { name: "Now" }).waitFor();
    const person = { link: user.id, heading: `User ${user.id}` };
    const job = { link: jobId, heading: `Job ${jobId}` };
    for (
      const [query, { link, heading }] of [
        [await referenceOf(backend, user), person],
        [sent.email.toUpperCase(), person],
        [user.id, person],
        [user.id.slice(0, 13), person],
        [named, job],
        [sent.request, job],
        [jobId, job],
      ] as const
    ) {
      await search(page, query);
      await page.getByRole("rowheader").getByRole("link", { name: link }).click();
      await page.getByRole("heading", { name: heading }).waitFor();
    }

    const story = page.getByRole("region", { name: "What happened" }).getByRole("listitem");
    await story.first().waitFor();
    const words = await story.locator("span").allTextContents();
    const begin = [
      "Accepted: Kling 2.5 Turbo Pro.",
      "Held 4 credits. The balance was 6 then.",
      "Sent to fal as fal-ai/kling-video/v2.5-turbo/pro/text-to-video, for $0.35.",
      `fal accepted it as ${sent.provider_request}.`,
    ];
    assert.deepEqual(words.slice(0, begin.length), begin);
    const facts = page.getByRole("region", { name: `Job ${jobId}` });
    assert.match(await facts.innerText(), new RegExp(`processing.*\\n[^]*${sent.request}[^]*${named}`));
    await page.getByRole("row", { name: sent.provider_request }).getByText("fal: fal-ai").waitFor();
    assert(!(await page.content()).includes("endless river"), "the prompt is nobody's to read by the way");
    await assertFits(page);

    await page.getByRole("button", { name: `Refund the user ${user.id}` }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("the 4 credits that it holds come back by themselves").waitFor();
    await dialog.getByRole("link", { name: user.id }).waitFor();
    assert.equal(await dialog.getByLabel("Credits").inputValue(), "4");
    await dialog.getByLabel("Reason").fill("It has been stuck since noon");
    await dialog.getByRole("button", { name: "Refund" }).click();
    await page.getByRole("status").getByText(
      `Refunded 4 credits to the user ${user.id}. Their balance is 10.`,
    ).waitFor();

    await facts.getByRole("link", { name: user.id }).click();
    const statement = page.getByRole("region", { name: "Statement" }).first();
    await statement.getByRole("row", { name: /refund \+4 10/ }).waitFor();
    await statement.getByRole("row", { name: new RegExp(`hold -4 6 ${jobId}`) }).waitFor();
    await assertFits(page);

    await change(page, `Adjust the credits of the user ${user.id}`, "Adjust", {
      Credits: "-3",
      Reason: "Sold twice by mistake",
    });
    await statement.getByRole("row", { name: /adjustment -3 7/ }).waitFor();
    await change(page, `Refund the user ${user.id}`, "Refund", { Credits: "2", Reason: "For the trouble" });
    await statement.getByRole("row", { name: /refund \+2 9/ }).waitFor();
    await change(page, `Ban the user ${user.id}`, "Ban", { Reason: "Sells videos of real people" });
    await page.getByRole("region", { name: `User ${user.id}` }).getByText("banned").first().waitFor();
    errorOf(await user.call("user-profile"), "ERR_4017");
    await change(page, `Unban the user ${user.id}`, "Unban", { Reason: "It was somebody else" });
    await change(page, `Keep as evidence what there is of the user ${user.id}`, "Keep as evidence", {
      Reason: "The police asked",
    });
    await page.getByText("kept as evidence", { exact: true }).waitFor();
    await change(page, `Lift the hold on the user ${user.id}`, "Lift the hold", {
      Reason: "They asked no more",
    });
    await page.getByRole("button", { name: `Keep as evidence what there is of the user ${user.id}` })
      .waitFor();
    assert.deepEqual((await actionsOf(user.id)).slice(-7), [
      { action: "refund_credits", amount: 4, reason: "It has been stuck since noon", job_id: null },
      { action: "adjust_credits", amount: -3, reason: "Sold twice by mistake", job_id: null },
      { action: "refund_credits", amount: 2, reason: "For the trouble", job_id: null },
      { action: "ban", amount: null, reason: "Sells videos of real people", job_id: null },
      { action: "unban", amount: null, reason: "It was somebody else", job_id: null },
      { action: "hold", amount: null, reason: "The police asked", job_id: null },
      { action: "lift_hold", amount: null, reason: "They asked no more", job_id: null },
    ]);
    await backend.proveLedger();
  },
);

browserTest("a job's video plays, its prompt is read with a reason, and it is refunded once", async () => {
  const { backend } = tested;
  const guest = await backend.signIn(10);
  const { job_id: jobId } = await generate(guest, "A ferry at dawn");
  await ended(backend, guest, jobId);
  await using visit = await tested.openAsAdmin(`#/jobs?job_id=${jobId}`);
  const { page } = visit;
  const video = page.getByLabel("The video", { exact: true });
  await video.waitFor();
  const seconds = await video.evaluate((element: Playable) =>
    element.play().then(() =>
      new Promise<number>((done) => element.ontimeupdate = () => done(element.currentTime))
    )
  );
  assert(seconds >= 0);

  await change(page, `Read the prompt of the job ${jobId}`, "Read the prompt", {
    Reason: "They say it is not what they asked for",
  });
  await page.getByText("A ferry at dawn").waitFor();
  const told = page.getByRole("region", { name: "What happened" });
  await told.getByText("read prompt. “They say it is not what they asked for”").waitFor();

  await page.getByRole("button", { name: `Refund the job ${jobId}` }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Credits").fill("5");
  await dialog.getByLabel("Reason").fill("The video flickers");
  await dialog.getByRole("button", { name: "Refund" }).click();
  assert(await dialog.isVisible(), "it costs 4");
  await dialog.getByLabel("Credits").fill("3");
  await dialog.getByRole("button", { name: "Refund" }).click();
  await told.getByText("Refunded 3 credits.").waitFor();
  await page.getByText("refunded", { exact: true }).waitFor();
  assert.equal(await page.getByRole("button", { name: /^Refund/ }).count(), 0);
  // What the hold has taken is not given back by the capture.
  const amounts = await page.getByRole("table", { name: "Postings" }).getByRole("row").allTextContents();
  assert.match(amounts.join("\n"), /hold-46.*\ncapture––.*\nrefund39/);
  const words = await told.getByRole("listitem").locator("span").allTextContents();
  const order = [
    "Accepted: ",
    "Held 4 ",
    "Sent to fal ",
    "fal accepted ",
    "Stored the video",
    "Captured 4 ",
    "Refunded 3 ",
  ];
  const places = order.map((beginning) => words.findIndex((text) => text.startsWith(beginning)));
  assert(places.every((place, index) => place > (places[index - 1] ?? -1)), `${places}: ${words.join("\n")}`);
  assert.deepEqual(
    (await actionsOf(guest.id)).map(({ action, amount, job_id }) => [action, amount, job_id]),
    [
      ["read_prompt", null, jobId],
      ["refund_credits", 3, jobId],
    ],
  );
  assert.equal(await backend.balanceOf(guest), 9);
});

/** Of a video element, what a test asks of it. */
interface Playable {
  currentTime: number;
  ontimeupdate: (() => void) | null;
  play(): Promise<void>;
}

browserTest("jobs are filtered by what is in the address, page by page", async () => {
  const { backend } = tested;
  const { sql } = backend.database;
  const guest = await backend.signIn(200);
  const failing = `A doomed kite ${crypto.randomUUID()}`;
  await backend.stack.simulators.fal.control.rules({ prompt: failing, outcome: "content_policy" });
  const { job_id: failed } = await generate(guest, failing);
  const { job_id: completed } = await generate(guest, "A kite");
  await ended(backend, guest, failed);
  await ended(backend, guest, completed);
  const [row] = await sql<{ error_code: string }[]>`select error_code from videos.jobs where id = ${failed}`;
  assert(row);
  await using visit = await tested.openAsAdmin(`#/jobs?user_id=${guest.id}`);
  const { page } = visit;
  const jobs = page.getByRole("rowheader");
  const shown = async (...ids: string[]) => {
    await page.getByRole("region", { name: "Jobs", exact: true }).first().and(
      page.locator("[aria-busy=false]"),
    )
      .waitFor();
    assert.deepEqual(await jobs.allTextContents(), ids);
  };
  await jobs.nth(1).waitFor();
  await shown(completed, failed);
  await page.getByLabel("State").selectOption("failed");
  await page.getByRole("button", { name: "Filter" }).click();
  await page.getByRole("link", { name: completed }).waitFor({ state: "detached" });
  await shown(failed);
  assert.match(page.url(), /status=failed/);
  await page.reload();
  await jobs.first().waitFor();
  await shown(failed);
  assert.equal(await page.getByLabel("State").inputValue(), "failed");
  await page.goto(
    page.url().replace("status=failed", `error_code=${row.error_code}&provider=fal&model_id=${kling}`),
  );
  await jobs.first().waitFor();
  await shown(failed);
  await page.getByLabel("Provider").fill("runway");
  await page.getByRole("button", { name: "Filter" }).click();
  await page.getByText("No jobs.").waitFor();

  // Enough for two pages, from long ago, that nobody works on.
  const model = crypto.randomUUID();
  await sql.begin(async (sql) => {
    await sql`set local session_replication_role = replica`;
    await sql`
      insert into videos.jobs (
        id, user_id, model_id, model_name, status, prompt, settings, credits_used, request_id, created_at, completed_at
      )
      select core.new_id(), gen_random_uuid(), ${model}, 'An old one', 'cancelled', 'A', '{}', 0, '', core.now(), core.now()
      from generate_series(1, 25)`;
  });
  await page.goto(page.url().replace(/#.*/, `#/jobs?model_id=${model}`));
  await page.getByRole("button", { name: "More" }).click();
  await jobs.nth(24).waitFor();
  assert.equal(await jobs.count(), 25);
  assert.equal(new Set(await jobs.allTextContents()).size, 25);
});
