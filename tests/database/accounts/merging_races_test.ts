/** Merges against everything that happens at the same moment: nothing is lost, charged twice, or waits in a circle. */
import assert from "node:assert/strict";
import { runs } from "../../runs.ts";
import { closeAccount } from "../support/accounts.ts";
import { manyConnections, untilBlocked } from "../support/connections.ts";
import { failed, receiveEvent, startVideo, submit } from "../support/generation.ts";
import { add, balancesOf, first, reverse, type Sql, violations } from "../support/ledger.ts";
import { createHeir, mergeGuest, type SignedInGuest, signedInGuest } from "../support/merging.ts";
import { settle } from "../support/jobs.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import { generateVideo } from "../support/videos.ts";

const database = sharedDatabase();
const { sql } = database;

/** What a race may be lost with; a caller tries again. */
const lostRaces = ["40P01", "40001", "55P03"];

Deno.test("two guests are merged into one at once, and two users merge one guest at once: one of them", async () => {
  for (let round = 0; round < runs(5, 50); round++) {
    const heirs = [await createHeir(sql, 1), await createHeir(sql, 1)] as const;
    const guests = [await signedInGuest(database), await signedInGuest(database)] as const;
    const both = await Promise.all(guests.map((guest) => mergeGuest(sql, heirs[0], guest)));
    assert.deepEqual(both.map(({ data }) => data?.credits_moved), [10, 10]);
    assert.equal((await balancesOf(sql, heirs[0])).available, 21);

    const third = await signedInGuest(database);
    const answers = await Promise.all([...heirs, ...heirs].map((heir) => mergeGuest(sql, heir, third)));
    const winner = answers.find(({ data }) => data !== undefined)?.data?.user_id;
    for (const [index, answer] of answers.entries()) {
      if (heirs[index % 2] === winner) assert.equal(answer.data?.credits_moved, 10);
      else assert.deepEqual([answer.error, answer.details?.status], ["ERR_4009", "merged"]);
    }
    const totals = await Promise.all(heirs.map(async (heir) => (await balancesOf(sql, heir)).available));
    assert.equal(totals.reduce((sum, each) => sum + each, 0), 32);
  }
  assert.deepEqual(await violations(sql), []);
});

/** What comes at the moment of the merge, and what both have after it, in whichever order they came. */
const rivals: Record<string, {
  call: (sql: Sql, guest: SignedInGuest, heir: string, jobId: string, purchase: string) => Promise<unknown>;
  /** The credits of both together, of the 20 that there were and the 4 that are held. */
  total: number[];
}> = {
  "a video of the guest's": {
    call: (sql, guest) => generateVideo(sql, guest.id, { network: guest.id }),
    // Refused to who is nobody any more.
    total: [16, 20],
  },
  "a video of the heir's": {
    call: (sql, _, heir) => generateVideo(sql, heir, { network: heir }),
    total: [16],
  },
  "the end of the guest's video": {
    call: (sql, _guest, _heir, jobId) => settle(sql, jobId, "failed"),
    total: [24],
  },
  "a refund at the store": {
    call: (sql, _guest, _heir, _job, purchase) => reverse(sql, purchase),
    total: [10],
  },
  "a purchase": { call: (sql, guest) => add(sql, guest.id, 5, { kind: "purchase" }), total: [25] },
  "the heir's goodbye": { call: (sql, _, heir) => closeAccount(sql, heir), total: [0, 10] },
  "the guest's goodbye": { call: (sql, guest) => closeAccount(sql, guest.id), total: [10, 20] },
  "the guest's deletion in Auth": {
    call: (sql, guest) => sql`delete from auth.users where id = ${guest.id}`,
    total: [10, 20],
  },
};

for (const [name, { call, total }] of Object.entries(rivals)) {
  for (const held of ["the guest's account", "the heir's account"]) {
    Deno.test(`a merge and ${name}, which both wait for ${held}, come one after the other`, async () => {
      for (const isFirst of [true, false]) {
        const [guest, heir] = [await signedInGuest(database, 0), await createHeir(sql, 10)];
        const { transfer_id: purchase = "" } = await add(sql, guest.id, 14, { kind: "purchase" });
        const jobId = await startVideo(sql, guest.id);
        const { answers } = await sql.begin(async (holder) => {
          await holder`select credits.lock_account(${held.startsWith("the guest") ? guest.id : heir})`;
          const merging = () => mergeGuest(sql, heir, guest);
          const rival = () => call(sql, guest, heir, jobId, purchase);
          const [one, other] = isFirst ? [merging, rival] : [rival, merging];
          const answers = [one()];
          answers[0]?.catch(() => {});
          // A rival that waits for nothing is done.
          await Promise.race([untilBlocked(holder), answers[0]?.catch(() => {})]);
          answers.push(other());
          return { answers };
        });
        for (const settled of await Promise.allSettled(answers)) {
          if (settled.status === "fulfilled") continue;
          assert(lostRaces.includes(Reflect.get(settled.reason, "code")), String(settled.reason));
        }
        const both = await balancesOf(sql, guest.id);
        const { available } = await balancesOf(sql, heir);
        const expected = name === "a refund at the store" ? [6, 10, 20] : total;
        assert(expected.includes(both.available + available), `${both.available} + ${available}`);
      }
      assert.deepEqual(await violations(sql), []);
    });
  }
}

Deno.test("a key that the heir is using at this moment keeps the merge away, and the next try finds its answer", async () => {
  const [guest, heir] = [await signedInGuest(database), await createHeir(sql, 10)];
  const key = crypto.randomUUID();
  const { data } = await generateVideo(sql, guest.id, { key, network: guest.id });
  await sql.begin(async (busy) => {
    await busy`select guard.claim(${heir}, 'generate-video', ${key}, ${"f".repeat(64)})`;
    await assert.rejects(mergeGuest(sql, heir, guest), { code: "40001" });
  });
  assert.equal((await mergeGuest(sql, heir, guest)).data?.credits_moved, 6);
  const replayed = await generateVideo(sql, heir, { key, network: heir });
  assert.deepEqual([replayed.replayed, replayed.data?.job_id], [true, data?.job_id]);
});

Deno.test("in a crowd of merges, videos, ends, refunds and goodbyes nothing waits in a circle, and the books are true", async () => {
  await using pool = manyConnections(database);
  await sql`update guard.policies set max_hits = 300 where counts = 'hits'`;
  await sql`update videos.providers set max_in_flight = 1000000, daily_cap_cents = null, failures_to_open = 1000000`;
  const deadlocks = async () =>
    (await first(sql<{ count: number }[]>`
      select d.deadlocks::int as count from pg_stat_database as d where d.datname = current_database()`))
      .count;
  const before = await deadlocks();
  let merged = 0;
  // Eight calls a round.
  for (let round = 0; round < runs(20, 1_250); round++) {
    const heir = await createHeir(sql, 20);
    const guests = [await signedInGuest(database, 0), await signedInGuest(database, 0)] as const;
    const purchases = await Promise.all(guests.map(({ id }) => add(sql, id, 12, { kind: "purchase" })));
    const jobs = await Promise.all([...guests.map(({ id }) => id), heir].map(startVideoElsewhere));
    const submissions = await Promise.all(jobs.map((jobId) => submit(sql, jobId)));
    const calls = [
      () => mergeGuest(pool, heir, guests[0]),
      () => mergeGuest(pool, heir, guests[1]),
      () => receiveEvent(pool, pick(submissions, round), failed, "e", "fal", null),
      () => settle(pool, pick(jobs, round + 1), "failed"),
      () => reverse(pool, pick(purchases, round).transfer_id),
      () => generateVideo(pool, round % 2 === 0 ? heir : guests[1].id, { network: heir }),
      () => round % 5 === 0 ? closeAccount(pool, heir) : add(pool, guests[0].id, 3, { kind: "purchase" }),
      () => pool`select credits.expire_account(a.id) from credits.accounts as a where a.owner_id = ${heir}`,
    ];
    const results = await Promise.allSettled(calls.map((call) => call()));
    for (const result of results) {
      if (result.status === "rejected") {
        const code = Reflect.get(result.reason, "code");
        assert(lostRaces.includes(code), String(result.reason));
        assert.notEqual(code, "40P01", "a deadlock");
      } else if (Reflect.get(Object(result.value), "data")?.merged_user_id !== undefined) merged += 1;
    }
  }
  assert.equal(await deadlocks(), before);
  assert(merged > 0);
  assert.deepEqual(await violations(sql), []);
});

/** From a network of its own, which may try so often an hour. */
async function startVideoElsewhere(userId: string): Promise<string> {
  const { data } = await generateVideo(sql, userId, { network: userId });
  assert(data);
  return data.job_id;
}

function pick<Item>(items: readonly Item[], index: number): Item {
  const item = items[index % items.length];
  assert(item !== undefined);
  return item;
}
