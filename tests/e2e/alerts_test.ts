/** What a rule does, as apps meet it, and what an admin does about alerts, rules and limits. */
import assert from "node:assert/strict";
import {
  GetAdminAlertsResponse,
  PatchAdminAlertsResponse,
} from "../../supabase/functions/admin-alerts/schema.ts";
import { GetAdminLimitsResponse } from "../../supabase/functions/admin-limits/schema.ts";
import { Policy } from "../../supabase/functions/_shared/ops/contract.ts";
import { evaluate, makeRule, setMeasured, takeOverMetrics } from "../database/support/alerts.ts";
import { type Answer, bodyOf, errorOf } from "./support/answer.ts";
import { startBackend } from "./support/backend.ts";
import { check, newNetwork } from "./support/device-checks.ts";
import { ended, generate, kling, priceOfKling } from "./support/videos.ts";

const reason = "For a test";

/** What the headers say of a policy: its limit, and what is left. */
function limitIn({ headers }: Answer, policy: string): [number | null, number | null] {
  const number = (header: string, name: string) => {
    const found = new RegExp(`"${policy}";[^,]*\\b${name}=(\\d+)`).exec(headers.get(header) ?? "");
    return found === null ? null : Number(found[1]);
  };
  return [number("ratelimit-policy", "q"), number("ratelimit", "r")];
}

Deno.test("a throttled limit is what headers and errors say, holds exactly, and is whole again by itself", async () => {
  await using backend = await startBackend();
  const { sql } = backend.database;
  await takeOverMetrics(sql);
  await sql`update guard.policies set max_hits = 8 where name = 'reads'`;
  await makeRule(sql, "own", "queue_seconds", {
    action: "throttle",
    policies: ["reads"],
    percent: 25,
    okFor: "1 minute",
  });
  const guest = await backend.signIn();
  assert.deepEqual(limitIn(await guest.call("credits"), "reads"), [8, 7]);

  await setMeasured(sql, "queue_seconds", 100);
  await evaluate(backend.database, 2);
  const answers = [];
  for (let call = 0; call < 3; call++) answers.push(await guest.call("credits"));
  assert.deepEqual(answers.map(({ status }) => status), [200, 200, 429]);
  assert.deepEqual(answers.map((answer) => limitIn(answer, "reads")), [[2, 1], [2, 0], [2, 0]]);
  const [, , refused] = answers;
  assert(refused !== undefined);
  const { details } = errorOf(refused, "ERR_4004");
  assert.equal(details["policy"], "reads");
  assert(Number(details["retry_after"]) >= 1);
  assert.equal(refused.headers.get("retry-after"), String(details["retry_after"]));

  await setMeasured(sql, "queue_seconds", 0);
  await evaluate(backend.database, 3);
  // An isolate remembers whom it has refused, by the real clock.
  const another = await backend.signIn();
  assert.deepEqual(limitIn(await another.call("credits"), "reads"), [8, 7]);
});

Deno.test("what is shut down says so, and comes back by itself: generation, grants and a provider", async () => {
  await using backend = await startBackend({ trustClientAddress: true });
  const { sql } = backend.database;
  await takeOverMetrics(sql);
  const okFor = "1 minute";
  await makeRule(sql, "a", "queue_seconds", { action: "shutdown", flags: ["generation", "grants"], okFor });
  await makeRule(sql, "b", "provider_failures", {
    action: "shutdown",
    flags: ["providers.{subject}"],
    okFor,
  });
  const guest = await backend.signIn(3 * priceOfKling);
  const order = () =>
    guest.call("generate-video", { body: { model_id: kling, prompt: "A fox" }, key: crypto.randomUUID() });

  await setMeasured(sql, "queue_seconds", 100);
  await evaluate(backend.database);
  const { details } = errorOf(await order(), "ERR_6004");
  assert.deepEqual(details, { feature: "generation", retry_after: 300 });
  const newcomer = await backend.signIn();
  const network = newNetwork();
  const { initial_grant } = await check(newcomer, "a phone", network);
  assert.deepEqual(initial_grant, { status: "pending", credits: 0, reason: "busy", retry_after: 300 });

  await setMeasured(sql, "queue_seconds", 0);
  await setMeasured(sql, "provider_failures", 100, "fal");
  await evaluate(backend.database, 3);
  assert.equal(
    (await check(newcomer, "a phone", network)).initial_grant.credits,
    10,
    "what was not granted is, later",
  );
  const { job_id } = await generate(guest);
  await backend.stack.tick();
  const [waiting] = await sql<{ status: string; submissions: number }[]>`
    select j.status, (select count(*)::int from videos.submissions as s where s.job_id = j.id) as submissions
    from videos.jobs as j where j.id = ${job_id}`;
  assert.deepEqual({ ...waiting }, { status: "pending", submissions: 0 }, "the provider gets no job");

  await setMeasured(sql, "provider_failures", 0, "fal");
  await evaluate(backend.database, 3);
  assert.equal((await ended(backend, guest, job_id)).status, "completed");
  await backend.proveLedger();
});

Deno.test("an admin sees alerts, acknowledges them, and changes rules and limits, each written down with before and after", async () => {
  await using backend = await startBackend();
  const { sql } = backend.database;
  const admin = await backend.signInAdmin();
  await sql`select ops.raise_alert('provider_refuses', 'fal', '{"cause": "401"}')`;
  const page = bodyOf(await admin.call("admin-alerts?status=open"), 200, GetAdminAlertsResponse);
  const [alert] = page.alerts;
  assert(alert !== undefined && page.alerts.length === 1);
  assert.deepEqual([alert.rule, alert.level, alert.metric, alert.details], [
    "provider_refuses",
    "warning",
    null,
    { cause: "401" },
  ]);
  assert.equal(page.rules.length, 19);

  const patch = (body: object) => admin.call("admin-alerts", { method: "PATCH", body: { reason, ...body } });
  const acknowledged = bodyOf(
    await patch({ alert_id: alert.alert_id, acknowledged: true }),
    200,
    PatchAdminAlertsResponse,
  );
  assert(acknowledged.alert?.acknowledged_at);
  const changed = bodyOf(
    await patch({
      rule: "queue_age",
      action: "throttle",
      policies: ["reads"],
      throttle_percent: 20,
      warning: 30,
    }),
    200,
    PatchAdminAlertsResponse,
  );
  assert.deepEqual([changed.rule?.action, changed.rule?.policies, changed.rule?.warning], ["throttle", [
    "reads",
  ], 30]);
  const malformed = errorOf(await patch({ rule: "queue_age", policies: ["no_such_limit"] }), "ERR_4008");
  assert.match(JSON.stringify(malformed.details), /policies/);
  errorOf(await patch({ rule: "no_such_rule", warning: 1 }), "ERR_4007");
  errorOf(await patch({ alert_id: crypto.randomUUID(), acknowledged: true }), "ERR_4007");

  const limits = bodyOf(await admin.call("admin-limits"), 200, GetAdminLimitsResponse);
  assert(limits.policies.some(({ policy, max_hits }) => policy === "reads" && max_hits === 120));
  const limit = (body: object) => admin.call("admin-limits", { method: "PATCH", body: { reason, ...body } });
  assert.equal(bodyOf(await limit({ policy: "reads", max_hits: 60 }), 200, Policy).admits, 60);
  for (const policy of ["admin", "admin_credits"]) errorOf(await limit({ policy, max_hits: 1 }), "ERR_4006");

  const written = await sql<
    { subject: string; details: { before: object; after: object }; reason: string; admin_id: string }[]
  >`
    select a.subject, a.details, a.reason, a.admin_id from ops.admin_actions as a where a.subject is not null order by a.id`;
  assert.deepEqual(written.map((row) => [row.subject, row.reason, row.admin_id]), [
    [`alert ${alert.alert_id}`, reason, admin.id],
    ["rule queue_age", reason, admin.id],
    ["policy reads", reason, admin.id],
  ]);
  const [, rule, policy] = written;
  assert.deepEqual(rule?.details.before, {
    action: "notify",
    policies: [],
    throttle_percent: 50,
    warning: 60,
  });
  assert.deepEqual(rule?.details.after, {
    action: "throttle",
    policies: ["reads"],
    throttle_percent: 20,
    warning: 30,
  });
  assert.match(JSON.stringify(policy?.details.before), /"max_hits":120/);
  assert.match(JSON.stringify(policy?.details.after), /"max_hits":60/);
});
