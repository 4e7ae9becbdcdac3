import assert from "node:assert/strict";
import { testConfig } from "../../testing/config.ts";
import { providers } from "./registry.ts";

const noNetwork = () => Promise.reject(new Error("This test has no network"));

Deno.test("a provider that is configured is there under its name", () => {
  const registry = providers(testConfig({ FAL_KEY: "id:secret", FAL_ACCOUNT_ID: "user_1" }), noNetwork);
  assert.deepEqual(registry.names, ["fal"]);
  assert.equal(registry.get("fal")?.name, "fal");
  assert.deepEqual(registry.get("fal")?.capabilities.resultHosts, ["fal.media", "*.fal.media"]);
});

Deno.test("each provider is there as soon as its own secrets are", () => {
  const environments = {
    replicate: { REPLICATE_API_TOKEN: "r8_t", REPLICATE_WEBHOOK_SECRET: `whsec_${"a".repeat(32)}` },
    runway: { RUNWAY_API_SECRET: "key_s" },
  };
  for (const [name, environment] of Object.entries(environments)) {
    const registry = providers(testConfig(environment), noNetwork);
    assert.deepEqual(registry.names, [name]);
    assert.equal(registry.get(name)?.name, name);
  }
});

Deno.test("a provider that is not configured, or unknown, is absent", () => {
  const registry = providers(testConfig(), noNetwork);
  assert.deepEqual(registry.names, []);
  assert.equal(registry.get("fal"), null);
  assert.equal(registry.get("toString"), null);
});
