/** The bar on the terminal while something is measured; nothing where standard error is none. */

const encoder = new TextEncoder();
const width = 30;
let startedAt = performance.now();
let expected = 1;

/** From now on the bar shows what has passed of so many seconds. */
export function startProgress(seconds: number): void {
  [startedAt, expected] = [performance.now(), seconds];
}

/** Draws the bar, with what is measured beside it. */
export function showProgress(name: string): void {
  if (!Deno.stderr.isTerminal()) return;
  const share = Math.min(1, (performance.now() - startedAt) / 1000 / expected);
  const filled = Math.round(share * width);
  const text = `\r${"█".repeat(filled)}${"░".repeat(width - filled)}  ${name}\x1b[K`;
  Deno.stderr.writeSync(encoder.encode(text));
}

/** Takes the bar away. */
export function clearProgress(): void {
  if (Deno.stderr.isTerminal()) Deno.stderr.writeSync(encoder.encode("\r\x1b[K"));
}
