import assert from "node:assert/strict";
import { holdPorts, isFree, untilFree } from "./ports.ts";

Deno.test("a port that another program keeps is named, and for whom it was", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  assert.equal(isFree(port), false);
  await assert.rejects(untilFree(port, "the gateway", 100), new RegExp(`${port}.*the gateway`));
});

Deno.test("a port that is let go in time is waited for", async () => {
  using ports = holdPorts();
  const port = ports.take();
  const listener = Deno.listen({ hostname: "127.0.0.1", port });
  setTimeout(() => listener.close(), 100);
  await untilFree(port, "the gateway");
  assert.equal(isFree(port), true);
});

Deno.test("ports that are held are nobody else's, and each is given once", () => {
  using some = holdPorts();
  using others = holdPorts();
  const taken = Array.from({ length: 10 }, () => [some.take(), others.take()]).flat();
  assert.equal(new Set(taken).size, taken.length);
  assert(taken.every(isFree));
});

Deno.test("ports that are held are none of those that the system gives to anybody", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  const range = await Deno.readTextFile("/proc/sys/net/ipv4/ip_local_port_range");
  const [lowest = 0] = range.trim().split(/\s+/).map(Number);
  using ports = holdPorts();
  assert(ports.take() < lowest);
});
