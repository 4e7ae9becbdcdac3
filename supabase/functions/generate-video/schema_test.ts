import assert from "node:assert/strict";
import { GenerateVideoRequest } from "./schema.ts";

const modelId = "0190a000-0000-7000-8000-000000000001";
const body = { model_id: modelId, prompt: "a red fox" };

/** What the schema says about a field: its value, or what is wrong with it. */
function read(field: "prompt" | "image_url" | "settings" | "model_id", value: unknown) {
  const { success, data, error } = GenerateVideoRequest.safeParse({ ...body, [field]: value });
  return success ? { value: data[field] } : { errors: error.issues.map(({ message }) => message) };
}

Deno.test("a prompt is trimmed and composed, and equal prompts are one request", () => {
  assert.deepEqual(read("prompt", "  a re\u0301d fox\n"), { value: "a r\u00e9d fox" });
  assert.deepEqual(read("prompt", "\u00a0\ufeffx\u2029"), { value: "x" });
});

Deno.test("a prompt has 1 to 2000 characters, counted as people and Postgres count them", () => {
  const refused = { errors: ["Must have 1 to 2000 characters"] };
  assert.deepEqual(read("prompt", ""), refused);
  assert.deepEqual(read("prompt", " \n\t "), refused);
  assert.deepEqual(read("prompt", "x"), { value: "x" });
  assert.deepEqual(read("prompt", "x".repeat(2001)), refused);
  const padding = " ".repeat(1000);
  assert.deepEqual(read("prompt", padding + "x".repeat(2000) + padding), { value: "x".repeat(2000) });
  assert.deepEqual(read("prompt", "🦊".repeat(2000)), { value: "🦊".repeat(2000) });
  assert.deepEqual(read("prompt", "🦊".repeat(2001)), refused);
  assert.deepEqual(read("prompt", "e\u0301".repeat(2000)), { value: "\u00e9".repeat(2000) });
  assert.deepEqual(read("prompt", "x".padStart(20_000)), { value: "x" });
  assert.deepEqual(read("prompt", "x".padStart(20_001)), refused);
  assert("errors" in read("prompt", 1));
});

Deno.test("a prompt holds no control characters but line breaks and tabs, and nothing that reverses text", () => {
  for (
    const text of [
      "shot 1:\n\ta fox",
      "shot 1\r\nshot 2",
      "ثعلب\u200f!",
      "שועל\u200e",
      "👩\u200d🚀",
      "fox\u00ad",
    ]
  ) {
    assert.deepEqual(read("prompt", text), { value: text });
  }
  const refused = [0x00, 0x07, 0x08, 0x0b, 0x0c, 0x0e, 0x1b, 0x1f, 0x7f, 0x80, 0x85, 0x9f]
    .concat([0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069]);
  for (const code of refused) {
    const text = `a ${String.fromCharCode(code)} fox`;
    assert.deepEqual(read("prompt", text), { errors: ["Must not contain control or direction characters"] });
  }
});

Deno.test("a prompt is well-formed Unicode, as the database wants it", () => {
  assert.deepEqual(read("prompt", "a \ud83e fox"), { errors: ["Must be well-formed Unicode"] });
});

Deno.test("a setting has the form of one; which of them, the model says", () => {
  const settings = { duration_seconds: 5, resolution: "1080p", aspect_ratio: "16:9" };
  assert.deepEqual(read("settings", settings), { value: settings });
  assert.deepEqual(read("settings", { resolution: "8k" }), { value: { resolution: "8k" } });
  assert.deepEqual(read("settings", {}), { value: {} });
  assert.deepEqual(read("settings", undefined), { value: {} });
  const absent = { duration_seconds: null, resolution: null, aspect_ratio: null };
  for (const value of [null, absent]) {
    const { value: read_ } = read("settings", value);
    assert.equal(JSON.stringify(read_), "{}", "null is as if it were not sent");
  }
  const refused = [
    [],
    { duration_seconds: 0 },
    { duration_seconds: -5 },
    { duration_seconds: 601 },
    { duration_seconds: "5" },
    { resolution: "720p\u0000" },
    { resolution: "x".repeat(21) },
    { resolution: "\ud83e" },
    { aspect_ratio: "" },
  ];
  for (const value of refused) assert("errors" in read("settings", value), JSON.stringify(value));
});

Deno.test("a model's id is one whatever its case, and whatever its version", () => {
  assert.deepEqual(read("model_id", modelId.toUpperCase()), { value: modelId });
  const unknown = "11111111-1111-1111-1111-111111111111";
  assert.deepEqual(read("model_id", unknown), { value: unknown });
  for (const value of ["", "veo", `${modelId}0`, 1, null]) assert("errors" in read("model_id", value));
});

Deno.test("an image's URL is taken in its canonical form", () => {
  const urls: [string, string][] = [
    ["https://example.com/fox.png?v=1#top", "https://example.com/fox.png?v=1#top"],
    ["HTTPS://Example.COM", "https://example.com/"],
    ["https://example.com?v=1", "https://example.com/?v=1"],
    ["https://bücher.example.de/füchse", "https://xn--bcher-kva.example.de/f%C3%BCchse"],
    ["https://пример.рф/a", "https://xn--e1afmkfd.xn--p1ai/a"],
    ["https://a_b.cdn-1.example.com/a\u0000\nb", "https://a_b.cdn-1.example.com/a%00b"],
    ["https://example.com/a@b:8080", "https://example.com/a@b:8080"],
    ["https://127.0.0.1.example.com/", "https://127.0.0.1.example.com/"],
  ];
  for (const [sent, taken] of urls) assert.deepEqual(read("image_url", sent), { value: taken });
  assert.deepEqual(read("image_url", undefined), { value: undefined });
});

Deno.test("an image's URL is https with a public DNS name, and nothing else before its path", () => {
  const refused = [
    "",
    "fox.png",
    "//example.com/fox.png",
    "http://example.com/",
    "ftp://example.com/",
    "data:image/png;base64,AAAA",
    "https:example.com/",
    "https:/example.com/",
    "https:\\\\example.com/",
    " https://example.com/",
    "https://example.com\\fox.png",
    // Ports and credentials.
    "https://example.com:8443/",
    "https://example.com:443/",
    "https://example.com:/",
    "https://user@example.com/",
    "https://user:password@example.com/",
    "https://@example.com/",
    "https://example.com\\@internal.example.org/",
    // IP addresses, in every notation.
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.0.1./",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://１２７.０.０.１/",
    "https://127%2e0%2e0%2e1/",
    "https://169.254.169.254/",
    "https://[::1]/",
    "https://[::ffff:169.254.169.254]/",
    "https://1.2.3.4.5/",
    // Names of one's own network, or of none.
    "https://localhost/",
    "https://intranet/",
    "https://app.localhost/",
    "https://printer.local/",
    "https://metadata.google.internal/",
    "https://router.lan/",
    "https://nas.home/",
    "https://nas.home.arpa/",
    "https://wiki.corp/",
    "https://wiki.intranet/",
    "https://wiki.alt/",
    "https://db.private/",
    "https://host.localdomain/",
    "https://a.test/",
    "https://a.invalid/",
    "https://expyuzz4wqqyqhjn.onion/",
    "https://PRINTER.LOCAL/",
    // Names that are none.
    "https://com/",
    "https://example.com./",
    "https://example.com。/",
    "https://printer.local./",
    "https://example..com/",
    "https://.example.com/",
    "https://-a.example.com/",
    "https://a-.example.com/",
    "https://example.c/",
    `https://${"a".repeat(64)}.example.com/`,
    `https://${"a.".repeat(125)}example/`,
    "https:///fox.png",
    "https://",
  ];
  const error = "Must be an https URL with a public DNS name, without port or credentials";
  for (const url of refused) assert.deepEqual(read("image_url", url), { errors: [error] }, url);
  assert.deepEqual(read("image_url", null), { value: undefined });
  for (const value of [1, {}]) assert("errors" in read("image_url", value));
});

Deno.test("an image's URL has 2048 characters at most, also in its canonical form", () => {
  const url = (length: number, letter = "a") => `https://example.com/`.padEnd(length, letter);
  assert.deepEqual(read("image_url", url(2048)), { value: url(2048) });
  assert("errors" in read("image_url", url(2049)));
  assert("errors" in read("image_url", url(1000, "ü")), "longer when it is written out");
  assert("errors" in read("image_url", url(2049, "\t")), "shorter, but too long to be looked at");
});
