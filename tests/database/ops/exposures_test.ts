/** Who was given which variant of an experiment: each user and variant once, and what the view makes of it. */
import assert from "node:assert/strict";
import { claimErasure, closeAccount, createGuest, eraseAccount, untilErasable } from "../support/accounts.ts";
import { cheapModel } from "../support/jobs.ts";
import { makeFlag, newFlag } from "../support/flags.ts";
import { first } from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const database = sharedDatabase();
const { sql } = database;

const half = [{ split: [{ variant: "on", weight: 50 }, { variant: "off", weight: 50 }] }];

/** What the endpoint is answered about the flag, or about all of them. */
async function ask(userId: string, key: string | null = null) {
  const { answer } = await first(sql<{ answer: { data: { flags: { key: string; variant: string }[] } } }[]>`
    select api.flags(${userId}, '{}', ${key}) as answer`);
  return answer.data.flags;
}

async function exposuresOf(flag: string) {
  return await sql<{ user_id: string; variant: string }[]>`
    select e.user_id, e.variant from ops.exposures as e where e.flag = ${flag} order by e.user_id, e.variant`;
}

Deno.test("a user is counted once for each variant, however often and however they ask", async () => {
  await makeFlag(sql, newFlag({ key: "counted", is_experiment: true, rules: half }));
  await makeFlag(sql, newFlag({ key: "not-counted", rules: half }));
  const users = await Promise.all(Array.from({ length: 6 }, () => createGuest(database)));
  const given = new Map<string, string>();
  for (const user of users) {
    const [flag] = await ask(user, "counted");
    given.set(user, flag?.variant ?? "");
    await Promise.all([ask(user, "counted"), ask(user), ask(user, "not-counted")]);
  }
  assert.deepEqual(
    (await exposuresOf("counted")).map(({ user_id, variant }) => [user_id, variant]),
    [...given].sort(),
  );
  assert.deepEqual([...await exposuresOf("not-counted")], []);
  // Another variant is another row; the first one stays.
  const nobody = [{ split: [{ variant: "on", weight: 0 }, { variant: "off", weight: 1 }] }];
  await makeFlag(sql, newFlag({ key: "counted", is_experiment: true, rules: nobody }));
  for (const user of users) await ask(user);
  const seen = new Set((await exposuresOf("counted")).map(({ user_id, variant }) => `${user_id} ${variant}`));
  assert.deepEqual(
    seen,
    new Set(users.flatMap((user) => [`${user} ${given.get(user)}`, `${user} off`])),
  );
});

Deno.test("whoever no split gave their variant is in no experiment, though they are given one", async () => {
  const key = "chosen";
  const flag = newFlag({ key, is_experiment: true, rules: half });
  const user = await createGuest(database);
  const others = [
    { ...flag, is_enabled: false },
    { ...flag, rules: [] },
    { ...flag, rules: half.map((rule) => ({ ...rule, platforms: ["ios"] })) },
    { ...flag, rules: [{ users: [user], variant: "off" }, ...half] },
  ];
  for (const other of others) {
    await makeFlag(sql, other);
    const [given] = await ask(user, key);
    assert.equal(typeof given?.variant, "string");
  }
  assert.deepEqual([...await exposuresOf(key)], []);
  await makeFlag(sql, flag);
  await ask(user, key);
  assert.equal((await exposuresOf(key)).length, 1);
});

Deno.test("the view's numbers are those of the rows", async () => {
  await makeFlag(
    sql,
    newFlag({
      key: "viewed",
      type: "string",
      variants: { a: "a", b: "b", c: "c" },
      default_variant: "a",
      off_variant: null,
      is_experiment: true,
      rules: [{ split: ["a", "b", "c"].map((variant) => ({ variant, weight: 1 })) }],
    }),
  );
  const users = await Promise.all(Array.from({ length: 40 }, () => createGuest(database)));
  const did = async (userId: string, what: "video" | "failed" | "purchase") =>
    what === "purchase"
      ? await sql`
        insert into purchases.transactions (
          environment, transaction_id, original_transaction_id, product_id, kind, quantity, purchased_at, signed_at,
          is_family_shared, is_upgraded, is_free_trial, owner_id, credits, credited_at, created_at
        )
        select 'production', n, n, 'credits_10', 'consumable', 1, core.now(), core.now(), false, false, false, ${userId}, 10,
          core.now(), core.now()
        from (select gen_random_uuid()::text as n) as g`
      : await sql`
        insert into videos.jobs (
          user_id, model_id, model_name, status, prompt, settings, credits_used, request_id, created_at, completed_at, error_code
        )
        values (
          ${userId}, ${cheapModel}, 'A model', ${
        what === "video" ? "completed" : "failed"
      }, 'A fox', '{}', 0, 'a test', core.now(), core.now(),
          ${what === "video" ? null : "ERR_5002"}
        )`;
  // What was done before does not count.
  for (const [index, user] of users.entries()) if (index % 5 === 0) await did(user, "video");
  for (const user of users) await ask(user, "viewed");
  for (const [index, user] of users.entries()) {
    if (index % 2 === 0) await did(user, index % 4 === 0 ? "video" : "failed");
    if (index % 8 === 0) await did(user, "video");
    if (index % 3 === 0) await did(user, "purchase");
  }
  const expected = new Map<string, { exposures: number; made_a_video: number; bought: number }>();
  for (const { user_id, variant } of await exposuresOf("viewed")) {
    const index = users.indexOf(user_id);
    const sum = expected.get(variant) ?? { exposures: 0, made_a_video: 0, bought: 0 };
    expected.set(variant, {
      exposures: sum.exposures + 1,
      made_a_video: sum.made_a_video + (index % 4 === 0 ? 1 : 0),
      bought: sum.bought + (index % 3 === 0 ? 1 : 0),
    });
  }
  const view = await sql<{ variant: string; exposures: number; made_a_video: number; bought: number }[]>`
    select v.variant, v.exposures, v.made_a_video, v.bought from ops.experiments as v where v.flag = 'viewed'`;
  assert.equal([...expected.values()].reduce((sum, { exposures }) => sum + exposures, 0), users.length);
  assert.deepEqual(new Map(view.map(({ variant, ...numbers }) => [variant, numbers])), expected);
});

Deno.test("an account's erasure takes its exposures along", async () => {
  await makeFlag(sql, newFlag({ key: "erased", is_experiment: true, rules: half }));
  const [gone, other] = [await createGuest(database), await createGuest(database)];
  for (const user of [gone, other]) await ask(user, "erased");
  await closeAccount(sql, gone);
  await database.advance(untilErasable);
  const task = await claimErasure(sql, gone);
  assert(task);
  await eraseAccount(sql, task);
  assert.deepEqual((await exposuresOf("erased")).map(({ user_id }) => user_id), [other]);
});
