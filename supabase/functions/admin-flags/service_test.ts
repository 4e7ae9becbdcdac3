import assert from "node:assert/strict";
import { fakeDataApi } from "../_shared/testing/data-api.ts";
import { testServer } from "../_shared/testing/server.ts";
import { sessionId, userId as adminId } from "../_shared/testing/tokens.ts";
import documentation from "./documentation.ts";
import endpoint from "./index.ts";

const { flags } = documentation.GET.responses[200];
const flag = documentation.PATCH.responses[200];

async function serve() {
  const { fetch, calls } = fakeDataApi({
    get_admin_flags: () => ({ data: { flags } }),
    patch_admin_flags: () => ({ data: flag }),
  });
  const server = await testServer(endpoint.operations, {}, { fetch });
  const token = await server.issuer.sign({ is_anonymous: false, aal: "aal2" });
  return { server, token, calls };
}

Deno.test("an admin sees every flag, in one call", async () => {
  const { server, token, calls } = await serve();
  const response = await server.send({ path: "admin-flags", token });
  assert.deepEqual([response.status, await response.json()], [200, { flags }]);
  assert.deepEqual(calls, [{
    name: "get_admin_flags",
    args: { p_admin_id: adminId, p_session_id: sessionId },
  }]);
});

Deno.test("an admin changes what they name of a flag, and nothing that a flag is not", async () => {
  const { server, token, calls } = await serve();
  const send = (json: unknown) => server.send({ method: "PATCH", path: "admin-flags", token, json });
  const rules = [{ platforms: ["ios"], app_versions: [">=1.0.0"], split: [{ variant: "on", weight: 10 }] }];
  const response = await send({ key: "generation", is_enabled: false, rules, reason: "it is slow" });
  assert.deepEqual([response.status, await response.json()], [200, flag]);
  assert.deepEqual(calls[0]?.args, {
    p_key: "generation",
    p_is_enabled: false,
    p_rules: rules,
    p_reason: "it is slow",
    p_admin_id: adminId,
    p_session_id: sessionId,
    p_request_id: response.headers.get("x-request-id"),
  });
  const wrong: [change: object, path: string][] = [
    [{ reason: undefined }, "reason"],
    [{ key: "a b" }, "key"],
    [{ variants: {} }, "variants"],
    [{ rules: [{ country: ["tr"] }] }, "rules[0].country"],
    [{ rules: [{ split: [{ variant: "on", weight: 0.5 }] }] }, "rules[0].split[0].weight"],
    [{ rules: [{ split: [{ variant: "on", weight: 1, is: "more" }] }] }, "rules[0].split[0].is"],
    [{ rules: [{ users: ["ada"] }] }, "rules[0].users[0]"],
  ];
  for (const [change, path] of wrong) {
    const refused = await send({ key: "generation", is_enabled: false, reason: "it is slow", ...change });
    const { error } = await refused.json();
    assert.deepEqual([refused.status, error.code, error.details.fields[0].path], [400, "ERR_4008", path]);
  }
  assert.equal(calls.length, 1);
});
