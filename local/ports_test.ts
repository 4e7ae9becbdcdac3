import assert from "node:assert/strict";
import { isFree, untilFree } from "./ports.ts";

Deno.test("a port that another program keeps is named, and for whom it was", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  assert.equal(isFree(port), false);
  await assert.rejects(untilFree(port, "the gateway"), new RegExp(`${port}.*the gateway`));
});

Deno.test("a port that is let go in time is waited for", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  setTimeout(() => listener.close(), 100);
  await untilFree(port, "the gateway");
  assert.equal(isFree(port), true);
});
