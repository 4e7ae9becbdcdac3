/** Whose task a worker gets next, and how many may be at work. */
import assert from "node:assert/strict";
import { manyConnections, times } from "../support/connections.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { claimTasks, loadTask, startVideo } from "../support/generation.ts";
import { addTasks, setKind } from "../support/tasks.ts";

const second = 1000;

Deno.test("tasks are handed out by priority, then age", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const expected: string[] = [];
  for (const kind of ["poll", "submit", "store", "cancel"]) {
    expected.unshift(...await addTasks(sql, kind, 2));
  }
  const claimed = [...await claimTasks(sql, 3), ...await claimTasks(sql, 10)].map(({ subject }) => subject);
  assert.deepEqual(claimed, expected);
  assert.deepEqual(await claimTasks(sql), []);
});

Deno.test("a kind has no more tasks at work than its concurrency, and does not hold up the others", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await setKind(sql, "cancel", { concurrency: 3 });
  await addTasks(sql, "cancel", 5);
  await addTasks(sql, "poll", 2);
  const kinds = async () => (await claimTasks(sql)).map(({ kind }) => kind);
  assert.deepEqual(await kinds(), ["cancel", "cancel", "cancel", "poll", "poll"]);
  assert.deepEqual(await kinds(), []);
  await sql`delete from queue.tasks where id = (select min(id) from queue.tasks)`;
  assert.deepEqual(await kinds(), ["cancel"]);
  await advance(61 * second);
  assert.deepEqual((await kinds()).filter((kind) => kind === "cancel").length, 3);
});

Deno.test("many claimers at once never get the same task, nor more than the concurrency together", async () => {
  await using database = await stillDatabase();
  await using sql = manyConnections(database);
  await setKind(sql, "poll", { concurrency: 60 });
  await setKind(sql, "store", { concurrency: 7 });
  await addTasks(sql, "poll", 50);
  await addTasks(sql, "store", 20);
  const claimed = (await times(32, () => claimTasks(sql, 5))).flat();
  assert.equal(new Set(claimed.map(({ task_id }) => task_id)).size, claimed.length);
  assert.equal(claimed.filter(({ kind }) => kind === "poll").length, 50);
  assert.equal(claimed.filter(({ kind }) => kind === "store").length, 7);
});

Deno.test("a claim brings no more of a kind than its claim_limit, and nothing of a kind that the worker leaves out", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const claim = async (without: string[] = [], subject: string | null = null) => {
    const [row] = await sql<{ tasks: { kind: string }[] }[]>`
      select api.claim_tasks(10, ${subject}, ${without}) -> 'data' as tasks`;
    return row?.tasks.map(({ kind }) => kind);
  };
  const [subject = ""] = await addTasks(sql, "store", 9);
  await addTasks(sql, "poll", 1);
  assert.deepEqual(await claim(["store"], subject), []);
  assert.deepEqual(await claim(["store"]), ["poll"]);
  assert.deepEqual(await claim(["poll"]), ["store"], "as the migrations have it");
  await sql`update queue.kinds set claim_limit = 2 where kind = 'store'`;
  assert.deepEqual(await claim(), ["store", "store"]);
  assert.deepEqual(await claim(), ["store"], "within the concurrency of 4");
  assert.deepEqual(await claim(), []);
  await sql`update queue.kinds set claim_limit = null, concurrency = 10 where kind = 'store'`;
  assert.equal((await claim())?.length, 5);
});

Deno.test("a task that another transaction holds is passed over", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const [held, free] = await addTasks(sql, "poll", 2);
  await sql.begin(async (holder) => {
    await holder`select from queue.tasks where subject = ${held ?? null} for update`;
    assert.deepEqual((await claimTasks(sql)).map(({ subject }) => subject), [free]);
  });
  assert.deepEqual((await claimTasks(sql)).map(({ subject }) => subject), [held]);
});

Deno.test("a claim for one job takes no other's tasks", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const [mine] = [await startVideo(sql), await startVideo(sql)];
  await advance(3 * second);
  assert.deepEqual((await claimTasks(sql, 10, mine)).map(({ subject }) => subject), [mine]);
});

Deno.test("a lane has no more tasks at work than the kind allows, and does not hold up the others", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  await setKind(sql, "poll", { concurrency: 5, laneConcurrency: 2 });
  await addTasks(sql, "poll", 20, { lane: "slow" });
  const others = [
    ...await addTasks(sql, "poll", 1, { lane: "a" }),
    ...await addTasks(sql, "poll", 1, { lane: "b" }),
  ];
  const claimed = await claimTasks(sql);
  assert.equal(claimed.length, 4);
  assert.deepEqual(
    claimed.map(({ subject }) => subject).filter((subject) => others.includes(subject)),
    others,
  );
  assert.deepEqual(await claimTasks(sql), []);
  await sql`select queue.finish(${claimed[0]?.task_id ?? 0}, 1)`;
  assert.equal((await claimTasks(sql)).length, 1);
});

Deno.test("owners take turns: who has many tasks does not let others wait for all of them", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  const [many, few, late] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()];
  const ofMany = await addTasks(sql, "poll", 40, { owner: many });
  await advance(5 * second);
  const ofFew = await addTasks(sql, "poll", 2, { owner: few });
  await advance(5 * second);
  const [ofLate] = await addTasks(sql, "poll", 1, { owner: late });
  const claimed = await claimTasks(sql, 5);
  assert.deepEqual(
    new Set(claimed.map(({ subject }) => subject)),
    new Set([...ofMany.slice(0, 2), ...ofFew, ofLate]),
  );
  for (const { task_id, attempt } of claimed) await sql`select queue.finish(${task_id}, ${attempt})`;
  // Nobody starves: after some minutes even the last of many goes before what comes new.
  await advance(20 * 60 * second);
  await addTasks(sql, "poll", 10, { owner: crypto.randomUUID() });
  await setKind(sql, "poll", { concurrency: 100 });
  const rest = (await claimTasks(sql, 38)).map(({ subject }) => subject);
  assert.deepEqual(new Set(rest), new Set(ofMany.slice(2)));
});

Deno.test("a priority goes before turns and age, and kinds do not wait for one that is busy", async () => {
  await using database = await stillDatabase();
  const { sql, advance } = database;
  await setKind(sql, "store", { concurrency: 1 });
  await addTasks(sql, "poll", 1);
  await advance(3600 * second);
  const [urgent] = await addTasks(sql, "poll", 1);
  await sql`update queue.tasks set priority = 0 where subject = ${urgent ?? ""}`;
  await addTasks(sql, "store", 3);
  assert.deepEqual((await claimTasks(sql)).map(({ kind }) => kind), ["poll", "store", "poll"]);
});

Deno.test("a claim that cannot have the kinds within a second claims nothing, and keeps nothing", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  await addTasks(sql, "poll", 1);
  await sql.begin(async (holder) => {
    await holder`select from queue.kinds where kind = 'poll' for update`;
    assert.deepEqual(await claimTasks(sql), []);
  });
  assert.equal((await claimTasks(sql)).length, 1);
});

Deno.test("a task comes with what its kind says of its subject; where it cannot, without it, and the others all the same", async () => {
  await using database = await stillDatabase();
  const { sql } = database;
  const jobId = await startVideo(sql);
  await sql`select queue.add('poll', ${jobId}, null, core.now())`;
  await addTasks(sql, "store", 1);
  await addTasks(sql, "cancel", 1);
  await sql`create function videos.broken(p_subject uuid) returns jsonb language plpgsql as $$
    begin raise exception 'broken'; end $$`;
  await sql`update queue.kinds set facts = 'videos.broken' where kind = 'cancel'`;
  await database.advance(2 * second);
  const tasks = await claimTasks(sql);
  assert.deepEqual(tasks.map(({ kind }) => kind), ["cancel", "store", "submit", "poll"]);
  const [cancel, store, submit, poll] = tasks.map(({ facts }) => facts);
  assert.deepEqual(
    [cancel, store, submit],
    [undefined, null, null],
    "broken, no such job, a kind that says nothing",
  );
  assert.deepEqual({ ...poll }, { ...await loadTask(sql, { subject: jobId }) });
  assert.match(poll?.folder ?? "", new RegExp(`/${jobId}$`));
});
