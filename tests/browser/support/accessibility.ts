/** What axe-core says of a page. */
import assert from "node:assert/strict";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { eventually } from "../../e2e/eventually.ts";

/** Fails where axe finds a serious or critical fault in what the page shows now. */
export async function assertAccessible(page: Page): Promise<void> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => (globalThis as unknown as { axe: typeof axe }).axe.run());
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  assert.deepEqual(
    serious.map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html)]),
    [],
    await page.title(),
  );
}

/** Fails where the page itself is scrolled to the side. A plot is drawn anew a moment after its window has changed. */
export async function assertNotScrolled(page: Page): Promise<void> {
  await eventually(`${await page.title()} is not scrolled to the side`, async () => {
    const overflow = await page.locator("html").evaluate((
      html: { scrollWidth: number; clientWidth: number },
    ) => html.scrollWidth - html.clientWidth);
    return overflow === 0 || undefined;
  });
}

/** Fails where the page does not fit 320 px. */
export async function assertFits(page: Page): Promise<void> {
  const wide = page.viewportSize();
  await page.setViewportSize({ width: 320, height: 900 });
  await assertNotScrolled(page);
  await assertAccessible(page);
  if (wide !== null) await page.setViewportSize(wide);
}
