/** Whatever users, providers and links write is text in every panel: nothing of it runs, loads, or leads elsewhere. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { shared } from "../shared.ts";
import { ended, generate } from "../e2e/support/videos.ts";
import { browserTest, startConsole } from "./support/console.ts";

const tested = shared(startConsole);

/** What has broken pages: each would call `pwned`, or ask for pwned.invalid. */
const corpus = [
  `<script>pwned()</script>`,
  `<img src=x onerror=pwned()>`,
  `"><svg onload=pwned()>`,
  `'" onfocus=pwned() autofocus x='`,
  `</title></style></textarea><iframe srcdoc="<script>parent.pwned()</script>">`,
  `javascript:pwned()`,
  `<a href="javascript:pwned()">here</a>`,
  `{{constructor.constructor('pwned()')()}}`,
  "${pwned()}",
  `<link rel=stylesheet href=//pwned.invalid>`,
  `<math><mtext><table><mglyph><style><img src=x onerror=pwned()>`,
  `&lt;img src=x onerror=pwned()&gt;`,
];

/** Fails where anything of the corpus has become more than text. */
async function assertHarmless(page: Page) {
  assert.equal(await page.evaluate("globalThis.wasPwned"), undefined);
  assert.equal(
    await page.locator(
      "img, iframe, svg, script:not([src='main.js']), link:not([href='main.css'], [href^='data:']), [onerror], [onload], [onfocus]",
    ).count(),
    0,
  );
  assert.equal(await page.locator("a[href^='javascript' i], main [autofocus]").count(), 0);
}

async function watch(page: Page): Promise<string[]> {
  const asked: string[] = [];
  page.on("request", (request) => asked.push(request.url()));
  page.on("dialog", (dialog) => asked.push(`dialog ${dialog.message()}`));
  await page.addInitScript("globalThis.pwned = () => globalThis.wasPwned = true");
  return asked;
}

browserTest("hostile prompts, names, reports and reasons are text in every panel", async () => {
  const { backend } = tested;
  const { sql } = backend.database;
  const admin = await tested.makeAdmin();
  const guest = await backend.signIn(10);
  const all = corpus.join("\n");
  const { job_id: jobId } = await generate(guest, all);
  await ended(backend, guest, jobId);
  await sql.begin(async (sql) => {
    await sql`set local session_replication_role = replica`;
    await sql`
      update videos.jobs as j set client_reference = ${corpus[1] ?? ""}, request_id = ${
      corpus[0] ?? ""
    }, flag = ${all},
        model_name = ${corpus[2] ?? ""}, error_details = ${sql.json({ [corpus[3] ?? ""]: all })}
      where j.id = ${jobId}`;
    await sql`update videos.submissions as s set cause = ${all}, provider_model = ${all} where s.job_id = ${jobId}`;
    await sql`update accounts.users as u set display_name = ${corpus[1] ?? ""} where u.id = ${guest.id}`;
    await sql`update auth.sessions as s set user_agent = ${all} where s.user_id = ${guest.id}`;
    await sql`
      insert into queue.tasks (kind, subject, priority, place, run_at, created_at, failed_at, last_error)
      values ('store', ${jobId}, 5, 0, core.now(), core.now(), core.now(), ${all})`;
    await sql`
      insert into ops.admin_actions (action, user_id, job_id, reason, created_at)
      select 'read_prompt', ${guest.id}, ${jobId}, t, core.now() from unnest(${corpus}::text[]) as t`;
    await sql`
      insert into ops.alerts (rule, subject, details, raised_at, last_at)
      values ('result_host', ${all.slice(0, 300)}, '{}', core.now(), core.now())`;
    await sql`
      insert into ops.incidents (subject, began_at, cause) values ('storage', core.now(), ${
      all.slice(0, 500)
    })`;
  });
  await using visit = await tested.openAsAdmin("#/limits", { admin });
  const { page } = visit;
  const asked = await watch(page);
  await page.reload();
  for (
    const [hash, texts] of [
      ["#/overview", [all.slice(0, 300), all.slice(0, 500)]],
      [`#/jobs?user_id=${guest.id}`, [corpus[2]]],
      [`#/jobs?job_id=${jobId}`, [
        corpus[0],
        corpus[1],
        corpus[2],
        all,
        ...corpus.map((text) => `“${text}”`),
      ]],
      [`#/users?user_id=${guest.id}`, [corpus[1], all, ...corpus]],
    ] as const
  ) {
    await page.goto(new URL(hash, page.url()).href);
    for (const text of texts) {
      await page.getByText(text ?? "", { exact: false }).first().waitFor();
    }
    await assertHarmless(page);
  }
  await page.goto(new URL(`#/jobs?job_id=${jobId}`, page.url()).href);
  await page.getByRole("button", { name: /^Read the prompt/ }).click();
  await page.getByRole("dialog").getByLabel("Reason").fill(corpus[0] ?? "");
  await page.getByRole("dialog").getByRole("button", { name: "Read the prompt" }).click();
  await page.getByRole("definition").getByText(all).last().waitFor();
  await assertHarmless(page);
  assert.deepEqual(asked.filter((url) => !url.startsWith(backend.stack.url) && !url.startsWith("blob:")), []);
});

browserTest("a hostile link is text too, and changes nothing", async () => {
  const { backend } = tested;
  await using visit = await tested.openAsAdmin("#/overview", { expected: /Failed to load resource/ });
  const { page } = visit;
  const [before] = await backend.database.sql`select count(*)::int as actions from ops.admin_actions`;
  const asked = await watch(page);
  await page.reload();
  for (const text of corpus) {
    await page.goto(new URL(`#/search?${new URLSearchParams({ query: text })}`, page.url()).href);
    await page.getByRole("heading", { name: `Found for “${text}”` }).waitFor();
    // The job of the test above may be what is found.
    await page.getByText(/^Nothing\. An e-mail address|^Users: 0\. Jobs: 1\./).waitFor();
    await assertHarmless(page);
  }
  const text = corpus.slice(0, 2).join("");
  for (const name of ["job_id", "user_id", "status", "model_id", "provider", "error_code"]) {
    await page.goto(new URL(`#/jobs?${new URLSearchParams({ [name]: text })}`, page.url()).href);
    await page.getByRole("alert").getByText("ERR_4008").waitFor();
    await assertHarmless(page);
  }
  await page.goto(new URL(`#/users?${new URLSearchParams({ user_id: text })}`, page.url()).href);
  await page.getByRole("alert").getByText("ERR_4008").waitFor();
  await page.goto(new URL(`#/${encodeURIComponent(text)}?span=${encodeURIComponent(text)}`, page.url()).href);
  await page.getByRole("heading", { name: "The last 1 hour" }).waitFor();
  await assertHarmless(page);
  assert.deepEqual(asked.filter((url) => !url.startsWith(backend.stack.url) && !url.startsWith("blob:")), []);
  const [after] = await backend.database.sql`select count(*)::int as actions from ops.admin_actions`;
  assert.deepEqual(after, before);
});
