/**
 * A crash at every step of a push, of which the quick tests run a sample: as in crash_test.ts, the functions are killed before
 * and after each of their calls, those to Apple among them.
 */
import assert from "node:assert/strict";
import { newPushToken } from "../../local/simulators/apns/apns.ts";
import { backend, calls, isTrue, restart, type Run, tick, until, untilQuiet } from "./support/crash-steps.ts";
import { assertSurvivesCrashes, procedure } from "./support/crash-points.ts";
import type { Point } from "./support/port-calls.ts";

interface Pushed {
  readonly run: Run;
  readonly devices: readonly string[];
}

/** An event of a guest's with three devices, of which one is in the environment that it did not say. */
async function play(target: Point | null): Promise<Pushed> {
  const { sql } = backend.database;
  const run: Run = { guest: await backend.signIn(), prompt: "", jobId: "" };
  const devices = [newPushToken(), newPushToken(), newPushToken("sandbox")];
  for (const token of devices) {
    const { status } = await run.guest.call("push-tokens", { body: { token, environment: "production" } });
    assert.equal(status, 204);
  }
  await untilQuiet();
  calls.reset(target, restart);

  await sql`select events.publish('purchase.credited', ${run.guest.id}, '{"credits": 5}')`;
  await tick();
  await until("nothing is left to do", () => isTrue(sql`select where not exists (select from queue.tasks)`));
  await untilQuiet();
  return { run, devices };
}

/** Every device has it, and whatever was sent to one has one id; the delivery and the devices are as without a crash. */
async function prove({ run, devices }: Pushed): Promise<void> {
  const { sql } = backend.database;
  const { requests } = await backend.stack.simulators.apns.control.report();
  const ids = devices.map((token) => {
    const own = requests.filter((request) => request.token === token);
    assert(own.some(({ isSent }) => isSent), "a device has nothing");
    const [id, ...others] = new Set(own.map(({ headers }) => headers["apns-id"]));
    assert.deepEqual(others, [], "a repetition has another id");
    return id;
  });
  assert.equal(new Set(ids).size, devices.length);
  const ended = await sql<{ channel: string; outcome: string }[]>`
    select d.channel, d.outcome from events.deliveries as d join events.log as l on l.id = d.event_id
    where l.user_id = ${run.guest.id} order by d.channel`;
  assert.deepEqual(ended.map(({ channel, outcome }) => [channel, outcome]), [
    ["inbox", "delivered"],
    ["push", "delivered"],
  ]);
  const known = await sql<{ environment: string }[]>`
    select t.environment from notify.push_tokens as t where t.user_id = ${run.guest.id} order by 1`;
  assert.deepEqual(known.map(({ environment }) => environment), ["production", "production", "sandbox"]);
}

Deno.test("a push survives a crash at every step: each device has it, under one id", () =>
  assertSurvivesCrashes(play, prove, [
    ...["claim_tasks", "finish_push"].map(procedure),
    "POST /3/device/*",
    "POST /sandbox/3/device/*",
  ]));
