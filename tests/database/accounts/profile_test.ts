import assert from "node:assert/strict";
import { examplePreferences } from "../../../supabase/functions/_shared/notify/contract.ts";
import { untilBlocked } from "../support/connections.ts";
import { add, first, type Sql, violations } from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const { sql, advance } = sharedDatabase();

const hour = 60 * 60 * 1000;

interface Answer {
  data?: Record<string, unknown>;
  error?: string;
  limits?: { policy: string; remaining: number }[];
  language?: string;
}

async function read(sql: Sql, userId: string): Promise<Answer> {
  return (await first(sql<{ answer: Answer }[]>`select api.get_user_profile(${userId}) as answer`)).answer;
}

async function update(sql: Sql, userId: string, changes: Record<string, string | null>): Promise<Answer> {
  return (await first(sql<{ answer: Answer }[]>`
    select api.patch_user_profile(${userId}, ${sql.json(changes)}) as answer`)).answer;
}

Deno.test("the first question about a profile makes the account, and the second changes nothing", async () => {
  const userId = crypto.randomUUID();
  const answer = await read(sql, userId);
  const { created_at: createdAt, app_account_token: token, ...profile } = answer.data ?? {};
  assert.deepEqual(profile, {
    user_id: userId,
    display_name: null,
    language: null,
    theme_preference: "system",
    credits_remaining: 0,
    shares_consumption: false,
    accepted_processors: [],
    notification_preferences: examplePreferences(),
    subscription: null,
    export: null,
  });
  assert.match(String(token), /^[0-9a-f-]{36}$/);
  assert.notEqual(
    token,
    userId,
    "whoever has it can buy for the user, and it is not what others know them by",
  );
  assert.match(String(createdAt), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual([answer.limits?.map(({ policy }) => policy), answer.language], [["reads"], undefined]);
  assert.deepEqual((await read(sql, userId)).data, answer.data);
});

Deno.test("a first change makes the account, too", async () => {
  const userId = crypto.randomUUID();
  const { data } = await update(sql, userId, { display_name: "Jane" });
  assert.deepEqual([data?.display_name, data?.credits_remaining], ["Jane", 0]);
  assert.deepEqual((await read(sql, userId)).data, data);
});

Deno.test("a change leaves what it does not name, and only the name can be taken away", async () => {
  const userId = crypto.randomUUID();
  const chosen = async (changes: Record<string, string | null>) => {
    const { data, language } = await update(sql, userId, changes);
    return [data?.display_name, data?.language, data?.theme_preference, language];
  };
  assert.deepEqual(await chosen({ display_name: "Jane", theme_preference: "dark" }), [
    "Jane",
    null,
    "dark",
    undefined,
  ]);
  assert.deepEqual(await chosen({ language: "tr" }), ["Jane", "tr", "dark", "tr"]);
  assert.deepEqual(await chosen({ display_name: null, theme_preference: "light" }), [
    null,
    "tr",
    "light",
    "tr",
  ]);
  assert.deepEqual(await chosen({}), [null, "tr", "light", "tr"]);
});

Deno.test("a change counts against `writes`, and cannot reach another column or another user", async () => {
  const [userId, other] = [crypto.randomUUID(), crypto.randomUUID()];
  await read(sql, other);
  const { limits } = await update(sql, userId, { is_admin: "true", id: other, display_name: "Jane" });
  assert.deepEqual(limits?.map(({ policy }) => policy), ["writes"]);
  const rows = await sql`
    select u.id, u.display_name, u.is_admin from accounts.users as u where u.id in ${sql([userId, other])}
    order by u.display_name nulls last`;
  assert.deepEqual(rows.map((row) => ({ ...row })), [
    { id: userId, display_name: "Jane", is_admin: false },
    { id: other, display_name: null, is_admin: false },
  ]);
});

Deno.test("the profile's credits are those that can be spent: what is due is booked as expired first", async () => {
  const userId = crypto.randomUUID();
  await read(sql, userId);
  await add(sql, userId, 10, { expiresInHours: 1 });
  await add(sql, userId, 5);
  const remaining = async () => [
    (await read(sql, userId)).data?.credits_remaining,
    (await update(sql, userId, {})).data?.credits_remaining,
  ];
  assert.deepEqual(await remaining(), [15, 15]);
  await advance(hour);
  assert.deepEqual(await remaining(), [5, 5]);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("a suspended account and a closed one have no profile to read or to change", async () => {
  for (const [state, error] of [["is_banned = true", "ERR_4017"], ["closed_at = core.now()", "ERR_4005"]]) {
    const userId = crypto.randomUUID();
    await read(sql, userId);
    await sql.unsafe(`update accounts.users set ${state} where id = '${userId}'`);
    assert.deepEqual(await read(sql, userId), { error, details: {} });
    assert.deepEqual(await update(sql, userId, { display_name: "Jane" }), { error, details: {} });
    const { name } = await first(
      sql`select u.display_name as name from accounts.users as u where u.id = ${userId}`,
    );
    assert.equal(name, null);
  }
});

Deno.test("a change that waited while the account was closed writes nothing into the tombstone", async () => {
  const userId = crypto.randomUUID();
  await read(sql, userId);
  const closing = await sql.reserve();
  let change: Promise<Answer>;
  try {
    await closing`begin`;
    await closing`update accounts.users set closed_at = core.now() where id = ${userId}`;
    change = update(sql, userId, { display_name: "Jane" });
    // It has asked whether the user is active, and now waits for the row.
    await untilBlocked(sql);
    await closing`commit`;
  } finally {
    closing.release();
  }
  assert.equal((await change).error, "ERR_4005");
  const { name } = await first(
    sql`select u.display_name as name from accounts.users as u where u.id = ${userId}`,
  );
  assert.equal(name, null);
});
