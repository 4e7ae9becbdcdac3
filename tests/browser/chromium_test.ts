import assert from "node:assert/strict";
import { chromiumPath } from "./support/chromium.ts";

Deno.test("the browser tests have a browser", () => {
  if (chromiumPath !== null) return;
  const advice = "Chromium is not there, and the browser tests were not run: apt-get install chromium";
  assert.equal(Deno.env.get("CI"), undefined, advice);
  console.log(advice);
});
