/** What happens to a user, told on their channel while it is true and they are active. */
import assert from "node:assert/strict";
import { shared } from "../shared.ts";
import { eventually } from "./eventually.ts";
import { type Guest, newClient, startBackend } from "./support/backend.ts";
import { ended, generate, priceOfKling } from "./support/videos.ts";

const backend = shared(startBackend);

interface Told {
  readonly id: string;
  readonly type: string;
  readonly action: string;
  readonly data: Record<string, unknown>;
  readonly timestamp: string;
}

/** What a guest is told, from now on. */
async function hear(guest: Guest) {
  const supabase = newClient(backend.stack);
  const { data: { session } } = await guest.supabase.auth.getSession();
  assert(session);
  await supabase.auth.setSession(session);
  await supabase.realtime.setAuth();
  const told: Told[] = [];
  const channel = supabase.channel(`user:${guest.id}`, { config: { private: true } });
  channel.on("broadcast", { event: "*" }, ({ event, payload }) => {
    assert.equal(event, payload.type);
    told.push(payload as Told);
  });
  const state = await new Promise((resolve) => channel.subscribe((state) => resolve(state)));
  assert.equal(state, "SUBSCRIBED");
  return {
    told,
    async [Symbol.asyncDispose]() {
      await supabase.removeAllChannels();
    },
  };
}

const namesOf = (told: readonly Told[]) => told.map(({ type, action }) => `${type}.${action}`);

Deno.test("a guest hears what becomes of a video, as the log has it, and nobody else does", async () => {
  const [guest, other] = [await backend.signIn(priceOfKling), await backend.signIn()];
  await using own = await hear(guest);
  await using strange = await hear(other);
  const { job_id } = await generate(guest);
  const job = await ended(backend, guest, job_id);
  assert.equal(job.status, "completed");
  await eventually("the end is told", () => namesOf(own.told).includes("video.completed") || undefined);
  const log = await backend.database.sql<{ id: string; name: string; data: unknown }[]>`
    select l.id, l.type as name, l.data from events.log as l where l.user_id = ${guest.id} order by l.id`;
  const known = new Map(log.map((event) => [event.id, event]));
  for (const event of own.told) {
    assert.equal(known.get(event.id)?.name, `${event.type}.${event.action}`);
    assert.deepEqual(event.data, known.get(event.id)?.data);
    assert.match(event.timestamp, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  }
  const names = namesOf(own.told);
  assert.deepEqual(names.filter((name) => name === "video.completed"), ["video.completed"]);
  assert(names.indexOf("video.submitted") < names.indexOf("video.completed"), names.join());
  assert.doesNotMatch(JSON.stringify(own.told), /A fox in the snow|token=/);
  assert.deepEqual(strange.told, []);
});

Deno.test("who is suspended, closed or merged is told nothing more on a channel that is still open", async () => {
  const { sql } = backend.database;
  const ends: [string, (guest: Guest) => Promise<unknown>][] = [
    ["suspended", ({ id }) => sql`select ops.suspend(${id}, 'a test')`],
    ["closed", (guest) => guest.call("user-profile", { method: "DELETE" })],
    ["merged", async ({ id }) => {
      const heir = await backend.signIn(1);
      await sql`update accounts.users as u set merged_into = ${heir.id} where u.id = ${id}`;
    }],
  ];
  for (const [what, end] of ends) {
    const [guest, other] = [await backend.signIn(1), await backend.signIn(1)];
    await guest.call("user-profile");
    await using own = await hear(guest);
    await using beside = await hear(other);
    const publish = (user: Guest) =>
      sql`select events.publish('video.submitted', ${user.id}, '{"job_id":"of a test"}')`;
    await publish(guest);
    // Their credits, which came before, may be told late.
    const told = () => namesOf(own.told).filter((name) => name === "video.submitted");
    await eventually("it is told", () => told().length === 1 || undefined);
    await end(guest);
    await publish(guest);
    await publish(other);
    // In the order of the commits: what was for the guest would have come before.
    await eventually(
      "the other is told",
      () => namesOf(beside.told).includes("video.submitted") || undefined,
    );
    assert.equal(told().length, 1, what);
  }
});
