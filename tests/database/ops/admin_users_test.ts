/** What admins see and change beside credits. */
import assert from "node:assert/strict";
import * as z from "zod";
import { AdministeredUser } from "../../../supabase/functions/_shared/ops/contract.ts";
import {
  actionsAbout,
  adjust,
  ban,
  changeModel,
  createAdmin,
  createCustomer,
  customersJob,
  readUser,
  refund,
  signUp,
} from "../support/admins.ts";
import { manyConnections, times, untilBlocked } from "../support/connections.ts";
import { acceptJob, cheapModel, settle } from "../support/jobs.ts";
import { closeAccount, first } from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import { generateVideo } from "../support/videos.ts";

const database = sharedDatabase();
const { sql } = database;

Deno.test("a user is shown with credits, jobs and the newest 20 actions", async () => {
  const [admin, user] = [await createAdmin(sql), await createCustomer(sql, 50)];
  await sql`update accounts.users set display_name = 'Ada', language = 'tr' where id = ${user}`;
  await customersJob(sql, user, "completed");
  for (const status of ["failed", "cancelled"] as const) {
    await settle(sql, await acceptJob(sql, user), status);
  }
  await acceptJob(sql, user);
  await customersJob(sql, user, "processing");
  const deleted = await customersJob(sql, user, "completed");
  await sql`select api.delete_video_job(${user}, ${deleted})`;
  for (let credits = 1; credits <= 21; credits++) await adjust(sql, admin, user, credits);

  const { data, limits } = await readUser(sql, admin, user);
  assert(data);
  const { created_at, ...profile } = data.user;
  assert.match(String(created_at), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  const remaining = 50 - 4 * 4 + 21 * 22 / 2;
  assert.deepEqual(profile, {
    user_id: user,
    is_guest: true,
    email: null,
    display_name: "Ada",
    language: "tr",
    theme_preference: "system",
    credits_remaining: remaining,
    is_banned: false,
    closed_at: null,
    merged_into: null,
  });
  assert.deepEqual(data.credits, { remaining, held: 8, owed: 0 });
  assert.deepEqual(data.jobs, { pending: 1, processing: 1, completed: 1, failed: 1, cancelled: 1 });
  assert.deepEqual(
    data.recent_actions.map(({ amount }) => amount),
    Array.from({ length: 20 }, (_, i) => 21 - i),
  );
  const { id: _, created_at: __, ...action } = data.recent_actions[0] ?? {};
  assert.deepEqual(action, {
    action: "adjust_credits",
    admin_id: admin,
    amount: 21,
    reason: "a contest",
    job_id: null,
  });
  assert.deepEqual(limits?.map(({ policy }) => policy), ["admin"]);
  assert.equal((await readUser(sql, admin, crypto.randomUUID())).error, "ERR_4007");
});

Deno.test("a user is shown with e-mail, lots, statement, purchases, sessions and devices, and with no address or token", async () => {
  const [admin, user] = [await createAdmin(sql), await signUp(sql)];
  await sql`select accounts.admit(${user}), credits.add(${user}, 50, 'grant', ${`given:${user}`})`;
  await customersJob(sql, user, "completed");
  await sql`
    insert into auth.sessions (id, user_id, user_agent, ip)
    values (gen_random_uuid(), ${user}, 'An app', '198.51.100.7')`;
  await sql`insert into devices.grants (user_id, granted_at) values (${user}, '2026-11-20T12:00:00Z')`;
  await sql`select notify.register_token(${user}, ${"ab".repeat(32)}, 'sandbox')`;
  await sql`
    insert into purchases.transactions (
      environment, transaction_id, original_transaction_id, product_id, kind, quantity, purchased_at, signed_at,
      is_family_shared, is_upgraded, is_free_trial, owner_id, reason, created_at
    )
    values ('sandbox', ${user}::text::char(36), 'o', 'gone', 'consumable', 1, now(), now(), false, false, false, ${user},
      'unknown_product', now())`;
  const { data } = await readUser(sql, admin, user);
  assert.partialDeepStrictEqual(data, {
    user: { email: `${user}@example.com`, is_guest: false },
    lots: [{ amount: 50, remaining: 46, expires_at: null, is_sandbox: false }],
    statement: [{ kind: "hold", amount: -4, balance_after: 46 }, {
      kind: "grant",
      amount: 50,
      balance_after: 50,
    }],
    purchases: [{
      product_id: "gone",
      status: "not_credited",
      credits_added: 0,
      reason: "unknown_product",
      environment: "sandbox",
    }],
    sessions: [{ user_agent: "An app" }],
    devices: { registered: 1, first_granted_at: "2026-11-20T12:00:00.000Z" },
  });
  z.parse(AdministeredUser, data);
  assert.doesNotMatch(JSON.stringify(data), /198\.51\.100\.7|abababab/);
});

Deno.test("a closed account is shown as what is left of it", async () => {
  const [admin, user] = [await createAdmin(sql), await createCustomer(sql, 5)];
  await sql`update accounts.users set closed_at = core.now() where id = ${user}`;
  await closeAccount(sql, user);
  await sql`delete from auth.users where id = ${user}`;
  const { data } = await readUser(sql, admin, user);
  assert.equal(data?.user["is_guest"], null);
  assert.notEqual(data?.user["closed_at"], null);
  assert.deepEqual(data?.credits, { remaining: 0, held: 0, owed: 0 });
  assert.deepEqual((await ban(sql, admin, user)).details, { status: "closed" });
});

Deno.test("a ban stops new jobs and ends the sessions, and lifting it lets the user in again", async () => {
  const [admin, user] = [await createAdmin(sql), await createCustomer(sql, 10)];
  const signIn = () => sql`insert into auth.sessions (id, user_id) values (gen_random_uuid(), ${user})`;
  const sessions = async () => (await sql`select from auth.sessions as s where s.user_id = ${user}`).length;
  await signIn();
  const running = await customersJob(sql, user, "processing");

  const { data } = await ban(sql, admin, user);
  assert.deepEqual([data?.user["is_banned"], await sessions()], [true, 0]);
  assert.equal((await generateVideo(sql, user)).error, "ERR_4017");
  assert.equal(await settle(sql, running, "completed"), true, "what was accepted goes on");
  // Auth lets them sign in, and a second ban ends that as well.
  await signIn();
  assert.equal((await ban(sql, admin, user)).data?.user["is_banned"], true);
  assert.equal(await sessions(), 0);

  assert.equal((await ban(sql, admin, user, "unban")).data?.user["is_banned"], false);
  assert.equal((await ban(sql, admin, user, "unban")).data?.user["is_banned"], false);
  assert.equal((await generateVideo(sql, user)).data?.status, "pending");
  const actions = await actionsAbout(sql, user);
  assert.deepEqual(actions.map(({ action, admin_id }) => [action, admin_id]), [["ban", admin], [
    "unban",
    admin,
  ]]);
});

Deno.test("a video that waited while its user was suspended is not accepted", async () => {
  const [admin, user] = [await createAdmin(sql), await createCustomer(sql, 10)];
  let video: ReturnType<typeof generateVideo> | undefined;
  await sql.begin(async (suspending) => {
    await ban(suspending, admin, user);
    // It has asked whether the user is active, and now waits for the account.
    video = generateVideo(sql, user);
    await untilBlocked(sql);
  });
  assert.equal((await video)?.error, "ERR_4017");
  assert.equal((await sql`select from videos.jobs as j where j.user_id = ${user}`).length, 0);
});

Deno.test("of many bans at once one is written down", async () => {
  await using crowd = manyConnections(database);
  const admins = await times(4, () => createAdmin(sql));
  const user = await createCustomer(sql);
  const answers = await times(32, (index) => ban(crowd, admins[index % 4] ?? "", user));
  for (const { data } of answers) assert.equal(data?.user["is_banned"], true);
  assert.equal((await actionsAbout(sql, user)).length, 1);
});

Deno.test("an admin bans neither themselves nor another, and bans nobody who is not there", async () => {
  const [admin, other] = [await createAdmin(sql), await createAdmin(sql)];
  for (const user of [admin, other]) {
    assert.equal((await ban(sql, admin, user)).error, "ERR_4006");
    assert.equal((await ban(sql, admin, user, "unban")).error, "ERR_4006");
    assert.equal((await readUser(sql, admin, user)).data?.user["is_banned"], false);
  }
  assert.equal((await ban(sql, admin, crypto.randomUUID())).error, "ERR_4007");
});

Deno.test("a model that is taken away is offered to nobody, and gone from the catalogue", async () => {
  const [admin, user] = [await createAdmin(sql), await createCustomer(sql, 10)];
  const catalogue = async () => {
    const { data } = await first(sql<{ data: { models: { id: string; processed_by: string[] }[] } }[]>`
      select api.models(${user}) -> 'data' as data`);
    return { ids: data.models.map(({ id }) => id), models: data.models };
  };
  const before = await catalogue();
  const { data } = await changeModel(sql, admin, cheapModel, false);
  // Whose prompts a model's providers get is a matter of each user's consent, and is not told an admin.
  const { processed_by, ...model } = before.models.find(({ id }) => id === cheapModel) ?? {};
  assert(processed_by !== undefined);
  assert.deepEqual(data, { ...model, is_available: false });
  const without = await catalogue();
  assert.deepEqual(without.ids, before.ids.filter((id) => id !== cheapModel));
  assert.equal((await generateVideo(sql, user)).error, "ERR_4002");

  await changeModel(sql, admin, cheapModel, false);
  assert.deepEqual(await catalogue(), without, "a second call changes nothing");
  assert.equal((await changeModel(sql, admin, cheapModel, true)).data?.is_available, true);
  assert.deepEqual((await catalogue()).ids, before.ids);
  assert.equal((await generateVideo(sql, user)).data?.status, "pending");
  const actions = await actionsAbout(sql, cheapModel);
  assert.deepEqual(actions.map(({ action, admin_id, user_id }) => [action, admin_id, user_id]), [
    ["disable_model", admin, null],
    ["enable_model", admin, null],
  ]);

  const unknown = crypto.randomUUID();
  const refused = await changeModel(sql, admin, unknown, false);
  assert.deepEqual([refused.error, refused.details], ["ERR_4002", { model_id: unknown }]);
});

Deno.test("what is neither a ban nor its lifting raises, and changes nothing", async () => {
  const [admin, user] = [await createAdmin(sql), await createCustomer(sql)];
  for (const action of ["delete", "BAN", "", null]) {
    const asked = sql`select api.post_admin_users(${admin}, 'request', ${user}, ${action}, 'for a reason')`;
    await assert.rejects(asked, { code: "20000" }, `${action}`);
  }
  assert.equal((await readUser(sql, admin, user)).data?.user["is_banned"], false);
});

Deno.test("nobody but an active admin sees a user, bans one or changes a model", async () => {
  const user = await createCustomer(sql);
  const banned = await createAdmin(sql);
  await sql`update accounts.users set is_banned = true where id = ${banned}`;
  const callers = { [user]: "ERR_4006", [await signUp(sql)]: "ERR_4006", [banned]: "ERR_4017" };
  for (const [caller, code] of Object.entries(callers)) {
    assert.equal((await readUser(sql, caller, user)).error, code);
    assert.equal((await ban(sql, caller, user)).error, code);
    assert.equal((await changeModel(sql, caller, cheapModel, false)).error, code);
  }
  assert.deepEqual(await actionsAbout(sql, user), []);
});

Deno.test("an admin has 60 requests a minute, over all endpoints", async () => {
  const [admin, user] = [await createAdmin(sql), await createCustomer(sql)];
  for (let request = 0; request < 56; request++) await readUser(sql, admin, user);
  await refund(sql, admin, user, 1, { key: "fifty-seventh" });
  await adjust(sql, admin, user, 1);
  await ban(sql, admin, user);
  await changeModel(sql, admin, cheapModel, true);
  for (
    const refused of [
      await readUser(sql, admin, user),
      await ban(sql, admin, user),
      await changeModel(sql, admin, cheapModel, true),
      await adjust(sql, admin, user, 1),
      await refund(sql, admin, user, 1),
    ]
  ) {
    assert.deepEqual([refused.error, refused.details?.policy], ["ERR_4004", "admin"]);
  }
  const replayed = await refund(sql, admin, user, 1, { key: "fifty-seventh" });
  assert.equal(replayed.replayed, true, "a replay costs nothing");
});
