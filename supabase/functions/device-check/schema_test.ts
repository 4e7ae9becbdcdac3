import assert from "node:assert/strict";
import { userId } from "../_shared/testing/tokens.ts";
import { DeviceCheckRequest } from "./schema.ts";

Deno.test("a device token is base64 on one line, and its id a short text", () => {
  const accepts = (request: unknown) => DeviceCheckRequest.safeParse(request).success;
  for (const token of ["YQ==", "YWI=", "YWJj", "a".repeat(16_384)]) assert(accepts({ device_token: token }));
  for (
    const token of ["", "YQ", "YW=j", "YWJ\n", "YW Jj", "YWJ-", "é", "a".repeat(16_388), 1, null, undefined]
  ) {
    assert(!accepts({ device_token: token }), String(token));
  }
  for (const id of ["x", "x".repeat(100), null]) assert(accepts({ device_token: "YWJj", device_id: id }));
  for (const id of ["", "x".repeat(101), 1]) assert(!accepts({ device_token: "YWJj", device_id: id }));
  assert(!accepts({ device_token: "YWJj", user_id: userId }));
});
