import assert from "node:assert/strict";
import { AppError } from "../_shared/errors/app-error.ts";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { sessionId, userId as adminId } from "../_shared/testing/tokens.ts";
import documentation from "./documentation.ts";
import { AddProductRequest, ChangeProductRequest, ListProductsResponse } from "./schema.ts";
import { addProduct, changeProduct, listProducts } from "./service.ts";

const caller = { p_admin_id: adminId, p_session_id: sessionId };
const { reason, ...product } = documentation.POST.request;

Deno.test("products and what waits are asked for in one call, by the admin of the token", async () => {
  const list = ListProductsResponse.parse(documentation.GET.responses[200]);
  const { database, calls } = fakeDatabase({ get_admin_products: () => list });
  const answer = await listProducts(undefined, testContext("admin", { database }));
  assert.deepEqual(answer, { status: 200, body: list });
  assert.deepEqual(calls, [{ name: "get_admin_products", args: caller }]);
});

Deno.test("a product is added in one call, with its reason", async () => {
  const { database, calls } = fakeDatabase({ post_admin_products: () => product });
  const request = AddProductRequest.parse({ ...product, reason });
  const answer = await addProduct(request, testContext("admin", { database }));
  assert.deepEqual(answer, { status: 201, body: product });
  const given = Object.fromEntries(Object.entries(product).map(([name, value]) => [`p_${name}`, value]));
  assert.deepEqual(calls, [{
    name: "post_admin_products",
    args: { ...caller, ...given, p_request_id: "test-request", p_reason: reason },
  }]);
});

Deno.test("a change is one call, with its reason, and leaves out what is not changed", async () => {
  const { database, calls } = fakeDatabase({ patch_admin_products: () => product });
  const request = ChangeProductRequest.parse({ product_id: product.product_id, credits: 200, reason });
  const answer = await changeProduct(request, testContext("admin", { database }));
  assert.deepEqual(answer, { status: 200, body: product });
  assert.deepEqual(calls, [{
    name: "patch_admin_products",
    args: {
      ...caller,
      p_request_id: "test-request",
      p_product_id: product.product_id,
      p_credits: 200,
      p_reason: reason,
    },
  }]);
});

Deno.test("a refusal of the database is the answer", async () => {
  const refusal = new AppError("ERR_4009", { details: { status: "exists" } });
  const refuse = () => Promise.reject(refusal);
  const { database } = fakeDatabase({ post_admin_products: refuse, patch_admin_products: refuse });
  const context = testContext("admin", { database });
  await assert.rejects(addProduct(AddProductRequest.parse({ ...product, reason }), context), refusal);
  await assert.rejects(
    changeProduct(ChangeProductRequest.parse({ product_id: "a", reason }), context),
    refusal,
  );
});

Deno.test("a product is as its table takes it, and every change has its reason", () => {
  const good = { ...product, reason };
  for (const schema of [AddProductRequest, ChangeProductRequest]) {
    assert(schema.safeParse(good).success);
    for (
      const wrong of [
        { product_id: "" },
        { product_id: "x".repeat(201) },
        { kind: "other" },
        { name: "" },
        { name: "x".repeat(101) },
        { description: "x".repeat(501) },
        { credits: 0 },
        { credits: 1_000_001 },
        { credits: 1.5 },
        { trial_credits: -1 },
        { trial_credits: 1_000_001 },
        { position: 3_000_000_000 },
        { is_available: "no" },
        { reason: undefined },
        { price: 1 },
      ]
    ) {
      assert(!schema.safeParse({ ...good, ...wrong }).success, JSON.stringify(wrong));
    }
  }
});
