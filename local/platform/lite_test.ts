import assert from "node:assert/strict";
import { createLite } from "./lite.ts";
import { createObjectStore } from "./storage/objects.ts";
import { createPool } from "./pool.ts";
import { holdPorts } from "../ports.ts";

Deno.test("a schema that cannot be read is a 503, not a schema without procedures", async () => {
  using nobody = holdPorts();
  const pool = createPool(`postgres://nobody@127.0.0.1:${nobody.take()}/none`);
  const lite = createLite({
    pool,
    catalogue: pool,
    objects: createObjectStore("/nonexistent"),
    storageSecret: "a secret of at least thirty-two characters",
  });
  const response = await lite.fetch(
    new Request("http://localhost/rest/v1/rpc/anything", {
      method: "POST",
      headers: { apikey: "checked" },
      body: "{}",
    }),
    { key: "secret", claims: { role: "service_role" } },
  );
  assert.equal(response.status, 503);
  assert.equal((await response.json()).code, "PGRST001");
});
