/** The simulated phone: a newcomer makes a video and buys credits, in each language. */
import assert from "node:assert/strict";
import { shared } from "../shared.ts";
import { eventually } from "../e2e/eventually.ts";
import { assertAccessible } from "./support/accessibility.ts";
import { browserTest, startConsole } from "./support/console.ts";

const tested = shared(() => startConsole({ tickMilliseconds: 500 }));

const guests = [
  [
    "en",
    "English",
    /^Start as a guest/,
    "What should happen?",
    "Make the video",
    "Progress",
    "Ready",
    /^Buy /,
    "credits bought",
  ],
  [
    "tr",
    "Türkçe",
    /^Misafir/,
    "Ne olsun?",
    "Videoyu oluştur",
    "İlerleme",
    "Hazır",
    /^Satın al/,
    "kredi satın alındı",
  ],
  [
    "es",
    "Español",
    /^Empezar/,
    "¿Qué debe pasar?",
    "Crear el vídeo",
    "Progreso",
    "Listo",
    /^Comprar/,
    "créditos comprados",
  ],
] as const;

for (const [code, language, start, prompt, make, progress, ready, buy, bought] of guests) {
  browserTest(`a guest makes a video that plays, and buys credits, in ${language}`, async () => {
    await using visit = await tested.openAsAdmin("#/try");
    const { page } = visit;
    const phone = page.getByRole("region", { name: "Simulated phone" });
    await phone.getByLabel("Language").selectOption(code);
    await phone.getByRole("button", { name: start }).click();
    await phone.getByLabel(prompt).fill("A red fox runs through fresh snow");
    // Those that need nothing but words; a price that is one of each second comes to 4 seconds' of them.
    const models = (await phone.locator("select[name=model] option").allInnerTexts()).join("\n");
    assert.match(models, /Veo 3 Fast \(4 /);
    assert.doesNotMatch(models, /Krea/);
    await phone.getByRole("button", { name: make }).click();
    await phone.getByRole("group", { name: progress }).getByText(ready).waitFor();
    await eventually("the video plays", async () => {
      const seconds = await phone.locator("video").evaluate((video: { currentTime: number }) =>
        video.currentTime
      );
      return seconds > 0 || undefined;
    });
    await phone.getByRole("button", { name: buy }).first().click();
    await page.getByRole("status").getByText(bought).waitFor();
    await assertAccessible(page);
    const [job] = await tested.backend.database.sql`
      select j.status::text from videos.jobs as j order by j.created_at desc limit 1`;
    assert.equal(job?.["status"], "completed");
    // The operator is who they were.
    await page.getByRole("link", { name: "Limits" }).click();
    await page.getByRole("heading", { name: "Rate limits" }).waitFor();
  });
}

browserTest("what the API refuses, the guest reads in their language", async () => {
  await using visit = await tested.openAsAdmin("#/try", { expected: /Failed to load resource/ });
  const { page } = visit;
  const phone = page.getByRole("region", { name: "Simulated phone" });
  await phone.getByLabel("Language").selectOption("tr");
  await phone.getByRole("button", { name: /^Misafir/ }).click();
  await phone.getByLabel("Ne olsun?").fill("<img src=x onerror=alert(1)>");
  await tested.backend.database.sql`update videos.models set is_available = false`;
  try {
    await phone.getByRole("button", { name: "Videoyu oluştur" }).click();
    await phone.getByRole("alert").getByText("ERR_").waitFor();
    assert.match(await phone.getByRole("alert").innerText(), /[ışğüçö]/);
  } finally {
    await tested.backend.database.sql`update videos.models set is_available = true`;
  }
});

browserTest("elsewhere than on the developer's machine the page says what it needs", async () => {
  const { url, publishableKey } = tested.backend.stack;
  await using visit = await tested.openAsAdmin("#/limits");
  const { page } = visit;
  await page.route("**/settings.json", (route) => route.fulfill({ json: { url, publishableKey } }));
  await page.goto(`${tested.url}#/try`);
  await page.reload();
  await page.getByText("deno task dev").waitFor();
  assert.equal(await page.getByRole("region", { name: "Simulated phone" }).count(), 0);
});
