/** The page around all panels: who gets in, what is served, and how it looks to whom. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { keptAdmin } from "../../local/console.ts";
import { shared } from "../shared.ts";
import { totpCode } from "../../local/platform/auth/factors.ts";
import { newClient } from "../e2e/support/backend.ts";
import { assertAccessible, assertNotScrolled } from "./support/accessibility.ts";
import { browserTest, startConsole } from "./support/console.ts";

const tested = shared(startConsole);

browserTest("whoever signs in needs the second factor, and sees nothing before it", async () => {
  const { email, password, totpSecret } = await tested.makeAdmin();
  await using visit = await tested.open("#/limits", { expected: /Failed to load resource/ });
  const { page } = visit;
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill("not the password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").getByText("Invalid login credentials").waitFor();
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  const code = page.getByLabel("The code of your authenticator app");
  await code.fill("000000");
  assert.equal(await page.getByRole("navigation").count(), 0);
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByRole("alert").getByText("Invalid TOTP code").waitFor();
  await code.fill(totpCode(totpSecret, Date.now()));
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByRole("heading", { name: "Rate limits" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "Rate limits" }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.getItem("kinora.console")), null);
});

/** Signs in by hand with a password; whoever has no second factor is let no further. */
async function signInByHand(page: Page, { email, password }: { email: string; password: string }) {
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Somebody new with a password alone. */
async function makeUser() {
  const { url, secretKey } = tested.backend.stack;
  const credentials = { email: `${crypto.randomUUID()}@example.com`, password: crypto.randomUUID() };
  const { auth } = newClient({ url, publishableKey: secretKey });
  const { data } = await auth.admin.createUser({ ...credentials, email_confirm: true });
  return { ...credentials, id: data.user?.id ?? "" };
}

browserTest(
  "the admin of the developer's machine is filled in, and what others deploy offers none",
  async () => {
    const { url, publishableKey } = tested.backend.stack;
    const admin = await tested.makeAdmin();
    await using visit = await tested.open();
    const { page } = visit;
    await page.getByRole("button", { name: "Sign in" }).waitFor();
    assert.equal(await page.getByRole("button").count(), 1);
    await page.route(
      "**/settings.json",
      (route) => route.fulfill({ json: { url, publishableKey, local: { admin } } }),
    );
    await page.reload();
    await page.getByRole("button", { name: "Fill in the local admin" }).click();
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("button", { name: "Fill in the code" }).click();
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByRole("navigation").waitFor();
  },
);

browserTest("an admin without a second factor sees why, and nothing else", async () => {
  const admin = await makeUser();
  await tested.backend.database.sql`select ops.make_admin(${admin.id})`;
  await using visit = await tested.open("#/limits");
  const { page } = visit;
  await signInByHand(page, admin);
  await page.getByRole("alert").getByText("no second factor").waitFor();
  await page.reload();
  await page.getByRole("alert").getByText("no second factor").waitFor();
  assert.equal(await page.getByRole("navigation").count(), 0);
});

browserTest("somebody who is no admin sees that, and nothing else, also with a second factor", async () => {
  const admin = await tested.makeAdmin();
  await tested.backend.database.sql`select ops.remove_admin(${admin.id})`;
  await using visit = await tested.open("#/limits", { expected: /Failed to load resource.*403/ });
  const { page } = visit;
  await signInByHand(page, admin);
  await page.getByLabel("The code of your authenticator app").fill(totpCode(admin.totpSecret, Date.now()));
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByRole("alert").getByText("no admin's").waitFor();
  assert.equal(await page.getByRole("navigation").count(), 0);
});

browserTest("a session that has ended leaves at once", async () => {
  const admin = await tested.makeAdmin();
  await using visit = await tested.openAsAdmin("#/limits", { admin, expected: /Failed to load resource/ });
  const { page } = visit;
  const change = page.getByRole("button", { name: "Change the limit replays" });
  await change.click();
  await page.getByRole("dialog").getByLabel("Reason").fill("Nobody is there to do this");
  await tested.backend.database.sql`delete from auth.sessions where user_id = ${admin.id}`;
  await page.getByRole("dialog").getByRole("button", { name: "Change" }).click();
  await page.getByRole("alert").getByText("The session has ended").waitFor();
  assert.equal(await page.getByRole("navigation").count(), 0);
  assert.equal(await page.evaluate(() => sessionStorage.getItem("kinora.console")), null);
});

browserTest("an admin who is none any more, or is banned, sees that at once, and nothing else", async () => {
  const { sql } = tested.backend.database;
  const admin = await tested.makeAdmin();
  await using visit = await tested.openAsAdmin("#/limits", { admin, expected: /Failed to load resource/ });
  const { page } = visit;
  await page.getByRole("button", { name: "Change the limit replays" }).click();
  await page.getByRole("dialog").getByLabel("Reason").fill("Nobody may do this");
  await sql`select ops.remove_admin(${admin.id})`;
  await page.getByRole("dialog").getByRole("button", { name: "Change" }).click();
  await page.getByRole("alert").getByText("no admin's").waitFor();
  assert.equal(await page.getByRole("navigation").count(), 0);
  await sql`select accounts.set_banned(${admin.id}, true)`;
  await page.reload();
  await page.getByRole("alert").getByText("Your account is banned").waitFor();
});

browserTest("whoever is to wait is told so, and a page without its settings says what it lacks", async () => {
  await using visit = await tested.openAsAdmin("#/limits", { expected: /Failed to load resource/ });
  const { page } = visit;
  const error = { code: "ERR_4004", message: "Too many requests.", details: { retry_after: 60 } };
  const headers = { "access-control-allow-origin": "*" };
  await page.route(
    "**/functions/v1/admin-limits",
    (route) => route.fulfill({ status: 429, headers, json: { error } }),
  );
  await page.reload();
  await page.getByRole("alert").getByText("Too many requests. (ERR_4004) Your session is kept.").waitFor();
  await page.route("**/settings.json", (route) => route.fulfill({ status: 404 }));
  await page.reload();
  await page.getByRole("alert").getByText("settings.json was answered with 404").waitFor();
});

browserTest("of two authenticator apps either one is asked for", async () => {
  const admin = await tested.makeAdmin();
  const { auth } = newClient(tested.backend.stack);
  await auth.signInWithPassword(admin);
  const { data: factors } = await auth.mfa.listFactors();
  const prove = async (factorId: string, secret: string) =>
    await auth.mfa.challengeAndVerify({ factorId, code: totpCode(secret, Date.now()) });
  await prove(factors?.totp[0]?.id ?? "", admin.totpSecret);
  const { data: other } = await auth.mfa.enroll({ factorType: "totp", friendlyName: "My phone" });
  await prove(other?.id ?? "", other?.totp.secret ?? "");
  await using visit = await tested.open("#/limits");
  const { page } = visit;
  await signInByHand(page, admin);
  await page.getByRole("combobox", { name: "Authenticator app" }).selectOption("My phone");
  await page.getByLabel("The code of your").fill(totpCode(other?.totp.secret ?? "", Date.now()));
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByRole("heading", { name: "Rate limits" }).waitFor();
});

browserTest("a span that there is not is the first of those there are", async () => {
  await using visit = await tested.openAsAdmin("#/overview?span=toString");
  await visit.page.getByRole("radio", { name: "1 hour" }).and(visit.page.locator(":checked")).waitFor();
});

for (const colorScheme of ["light", "dark"] as const) {
  browserTest(`axe finds no serious fault in ${colorScheme}, narrow or wide`, async () => {
    const admin = await tested.makeAdmin();
    await using outside = await tested.open("", { colorScheme });
    await outside.page.getByRole("button", { name: "Sign in" }).waitFor();
    await assertAccessible(outside.page);
    for (const width of [320, 2560]) {
      const options = { admin, colorScheme, viewport: { width, height: 900 } };
      await using visit = await tested.openAsAdmin("#/limits", options);
      const { page } = visit;
      await page.getByRole("row").nth(3).waitFor();
      await assertAccessible(page);
      await assertNotScrolled(page);
      await page.getByRole("button", { name: "Change the limit replays" }).click();
      await page.getByRole("dialog").waitFor();
      await assertAccessible(page);
    }
  });
}

browserTest("the theme that was chosen is shown, whatever the system has, and kept", async () => {
  await using visit = await tested.openAsAdmin("#/limits", { colorScheme: "light" });
  const { page } = visit;
  const background = () => page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
  const light = await background();
  await page.getByLabel("Theme").selectOption("dark");
  const dark = await background();
  assert.notEqual(dark, light);
  await page.reload();
  await page.getByRole("navigation").waitFor();
  assert.equal(await background(), dark);
  await page.getByLabel("Theme").selectOption("auto");
  assert.equal(await background(), light);
});

Deno.test("what is served has no secret, and a policy that reaches the project and nothing else", async () => {
  const { backend: { stack, keys }, url } = tested;
  const index = await fetch(url);
  const policy = index.headers.get("content-security-policy") ?? "";
  assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'; /);
  assert.match(policy, new RegExp(`connect-src 'self' ${stack.url} ${stack.url.replace("http", "ws")};`));
  assert.doesNotMatch(policy, /unsafe|\*/);
  const page = await index.text();
  assert.doesNotMatch(page, /<script>|<style|\son\w+=|\sstyle=/);
  const files = [...page.matchAll(/(?:src|href)="([\w.]+)"/g)].map(([, name]) => name);
  assert.deepEqual(files.sort(), ["main.css", "main.js"]);
  const texts = await Promise.all(
    [...files, "settings.json"].map(async (name) => {
      const response = await fetch(`${url}${name}`);
      assert.equal(response.status, 200);
      return await response.text();
    }),
  );
  const secrets = Object.entries(keys).flatMap(([name, value]) =>
    typeof value === "string" && value.length > 15 && name !== "publishableKey" && !/PublicKey$/.test(name)
      ? [value]
      : []
  );
  assert(secrets.length > 10);
  for (const text of [page, ...texts]) {
    assert.doesNotMatch(text, /sb_secret_\w|service_role|whsec_\w/);
    for (const secret of secrets) assert(!text.includes(secret));
  }
  const { port } = new URL(url);
  // No page of another site may read the settings or play the phone, nor one whose name leads to this machine.
  for (
    const headers of [{ origin: "https://elsewhere.example" }, { origin: "null" }]
  ) {
    for (const [name, method] of [["settings.json", "GET"], ["device-token", "POST"]] as const) {
      const body = method === "POST" ? { body: '{"phone":"a"}' } : {};
      const refused = await fetch(`${url}${name}`, { method, headers, ...body });
      await refused.body?.cancel();
      assert.equal(refused.status, 403, `${name} ${JSON.stringify(headers)}`);
      assert.equal(refused.headers.get("access-control-allow-origin"), null);
    }
  }
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
  await connection.write(new TextEncoder().encode(
    `GET /console/settings.json HTTP/1.1\r\nhost: elsewhere.example:${port}\r\nconnection: close\r\n\r\n`,
  ));
  assert.match(await new Response(connection.readable).text(), /^HTTP\/1\.1 403 /);
  for (const [name, body] of [["device-token", "{}"], ["purchase", "no JSON"], ["buy", "{}"]] as const) {
    const refused = await fetch(`${url}${name}`, { method: "POST", body });
    await refused.body?.cancel();
    assert.equal(refused.status, 400, name);
  }
  for (const name of ["../keys.json", "%2e%2e/keys.json", "..%2fkeys.json", "none.js"]) {
    const { status, body } = await fetch(`${url}${name}`);
    await body?.cancel();
    assert.equal(status, 404, name);
  }
});

Deno.test("all of it is less than 150 kB compressed", async () => {
  let bytes = 0;
  for (const name of ["", "main.js", "main.css"]) {
    const { body } = await fetch(`${tested.url}${name}`);
    bytes += (await new Response(body?.pipeThrough(new CompressionStream("gzip"))).arrayBuffer()).byteLength;
  }
  console.log(`${(bytes / 1000).toFixed(1)} kB`);
  assert(bytes < 150_000, `${bytes} bytes`);
});

Deno.test("the admin of `dev` is kept, and made anew where nobody knows them", async () => {
  const { stack } = tested.backend;
  const directory = await Deno.makeTempDir();
  const first = await keptAdmin(stack, directory);
  assert.deepEqual(await keptAdmin(stack, directory), first);
  const texts = ["", JSON.stringify({ ...first, email: "nobody@kinora.local" })];
  for (const text of texts) {
    await Deno.writeTextFile(`${directory}/admin.json`, text);
    const { email, password } = await keptAdmin(stack, directory);
    assert.notEqual(email, first.email);
    const { error } = await newClient(stack).auth.signInWithPassword({ email, password });
    assert.equal(error, null);
  }
  await Deno.remove(directory, { recursive: true });
});
