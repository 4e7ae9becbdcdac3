import assert from "node:assert/strict";
import { fakeDataApi } from "../_shared/testing/data-api.ts";
import { testServer } from "../_shared/testing/server.ts";
import { sessionId, userId } from "../_shared/testing/tokens.ts";
import endpoint from "./index.ts";

const products = [{
  product_id: "com.example.app.credits.20",
  kind: "consumable",
  name: "20 credits",
  description: "Five short videos.",
  credits: 20,
  is_featured: false,
}];

Deno.test("what is sold is one call, and none of its body is sent again while nothing has changed", async () => {
  const { fetch, calls } = fakeDataApi({ products: () => ({ data: { products } }) });
  const server = await testServer(endpoint.operations, {}, { fetch });
  const answer = await server.send({ path: "products" });
  assert.deepEqual([answer.status, await answer.json()], [200, { products }]);
  assert.equal(answer.headers.get("cache-control"), "private, max-age=60, stale-if-error=3600");
  assert.deepEqual(calls, [{ name: "products", args: { p_user_id: userId, p_session_id: sessionId } }]);
  const etag = answer.headers.get("etag") ?? "";
  const again = await server.send({ path: "products", headers: { "If-None-Match": etag } });
  assert.deepEqual([again.status, await again.text()], [304, ""]);
});

Deno.test("a product that is not as it must be is not shown as if it were", async () => {
  const { fetch } = fakeDataApi({
    products: () => ({ data: { products: [{ ...products[0], credits: 0 }] } }),
  });
  const server = await testServer(endpoint.operations, {}, { fetch });
  assert.equal((await server.send({ path: "products" })).status, 500);
});
