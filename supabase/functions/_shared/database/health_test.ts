import assert from "node:assert/strict";
import { fakeDataApi } from "../testing/data-api.ts";
import { testRuntime } from "../testing/runtime.ts";
import { healthDatabase } from "./health.ts";

Deno.test("health is one call without arguments", async () => {
  const { fetch, calls } = fakeDataApi({ health: () => ({ data: { oldest_due_task_seconds: 1.5 } }) });
  const database = healthDatabase(testRuntime(fetch));
  assert.deepEqual(await database.health(), { oldest_due_task_seconds: 1.5 });
  assert.deepEqual(calls, [{ name: "health", args: {} }]);
});
