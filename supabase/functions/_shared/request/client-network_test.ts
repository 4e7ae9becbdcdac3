import assert from "node:assert/strict";
import { clientNetwork } from "./client-network.ts";

Deno.test("a network is an IPv4 address or an IPv6 /64, however it is written", () => {
  const cases: [string, string][] = [
    ["192.0.2.1", "192.0.2.1"],
    ["0.0.0.0", "0.0.0.0"],
    ["255.255.255.255", "255.255.255.255"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:0DB8:0001:0002:0000:0000:0000:0001", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8::/64"],
    ["2001:db8:0:1::", "2001:db8:0:1::/64"],
    ["1::8", "1::/64"],
    ["::1", "::/64"],
    ["::", "::/64"],
    ["fe80::1:2:3:4", "fe80::/64"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::FFFF:C000:0201", "192.0.2.1"],
    ["0:0:0:0:0:ffff:192.0.2.1", "192.0.2.1"],
    ["64:ff9b::192.0.2.1", "64:ff9b::/64"],
  ];
  for (const [address, network] of cases) assert.equal(clientNetwork(address), network, address);
});

Deno.test("two addresses of one /64 are one network, and of two they are not", () => {
  assert.equal(clientNetwork("2001:db8:1:2::1"), clientNetwork("2001:db8:1:2:ffff:ffff:ffff:ffff"));
  assert.notEqual(clientNetwork("2001:db8:1:2::1"), clientNetwork("2001:db8:1:3::1"));
});

Deno.test("whatever is not exactly one address is no network", () => {
  const garbage = [
    null,
    "",
    "unknown",
    "192.0.2.1, 198.51.100.2",
    "192.0.2.1,198.51.100.2",
    "2001:db8::1, 192.0.2.1",
    "192.0.2",
    "192.0.2.256",
    "192.0.2.01",
    "1.2.3.4.5",
    "3221225985",
    "0xc0000201",
    "192.0.2.1:8080",
    "[2001:db8::1]",
    "[2001:db8::1]:443",
    "2001:db8::1%eth0",
    "2001:db8::1::2",
    "2001:db8:1:2:3:4:5:6:7",
    ":::",
    "12345::",
    "::1]/@example.com",
    "::ffff:192.0.2.256",
  ];
  for (const address of garbage) assert.equal(clientNetwork(address), null, String(address));
});
