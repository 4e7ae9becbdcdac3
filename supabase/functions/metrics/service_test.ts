import assert from "node:assert/strict";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDataApi } from "../_shared/testing/data-api.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { testServer } from "../_shared/testing/server.ts";
import { secretKey } from "../_shared/testing/tokens.ts";
import endpoint from "./index.ts";
import { getMetrics } from "./service.ts";

const family = {
  name: "kinora_credits_owed",
  type: "gauge" as const,
  help: "Credits that are owed",
  samples: [{ labels: {}, value: 3 }],
};
const text =
  "# HELP kinora_credits_owed Credits that are owed\n# TYPE kinora_credits_owed gauge\nkinora_credits_owed 3\n";

Deno.test("what the database counts is answered in Prometheus' format, by one call", async () => {
  const { database, calls } = fakeDatabase({ metrics: () => [family] });
  const answer = await getMetrics(undefined, testContext("metrics", { database }));
  assert.deepEqual(answer, { status: 200, body: text });
  assert.equal(calls.length, 1);
});

Deno.test("its token opens GET metrics, a secret key does, and nothing else; the answer is a text", async () => {
  const METRICS_TOKEN = "m".repeat(40);
  const { fetch } = fakeDataApi({ metrics: () => ({ data: [family] }) });
  const server = await testServer(endpoint.operations, { METRICS_TOKEN }, { fetch });
  for (const headers of [{ authorization: `Bearer ${METRICS_TOKEN}` }, { apikey: secretKey }]) {
    const answer = await server.send({ path: "metrics", as: "nobody", headers });
    assert.deepEqual([answer.status, await answer.text()], [200, text]);
    assert.equal(answer.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert.equal(answer.headers.get("cache-control"), "no-store");
  }
  for (const headers of [{}, { authorization: `Bearer ${METRICS_TOKEN}x` }, { apikey: METRICS_TOKEN }]) {
    const { status } = await server.send({ path: "metrics", as: "nobody", headers });
    assert.equal(status, 401);
  }
  assert.equal((await server.send({ path: "metrics" })).status, 401, "a user");
});
