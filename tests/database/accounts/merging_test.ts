/** Merging a guest into somebody who has an account: what changes hands, and what comes later. */
import assert from "node:assert/strict";
import {
  claimErasure,
  closeAccount,
  creditsOf,
  eraseAccount,
  tablesWith,
  untilErasable,
} from "../support/accounts.ts";
import { createAdmin } from "../support/admins.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import {
  cancelled,
  claimTask,
  failed,
  loadTask,
  price,
  readJob,
  receiveEvent,
  recordCancel,
  recordStored,
  recordUnusableResult,
  startVideo,
  submit,
  succeeded,
} from "../support/generation.ts";
import { add, balancesOf, first, reverse, violations } from "../support/ledger.ts";
import { createHeir, mergeGuest, signedInGuest } from "../support/merging.ts";
import {
  createBuyer,
  notificationOf,
  notify,
  outcomeOf,
  present,
  refunded,
  sellPack,
  transactionOf,
} from "../support/purchases.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import { generateVideo } from "../support/videos.ts";

const database = sharedDatabase(stillDatabase);
const { sql } = database;

Deno.test("credits, videos and keys become the heir's, and the guest's token nobody's", async () => {
  const guest = await signedInGuest(database, 20);
  const heir = await createHeir(sql, 5);
  const key = crypto.randomUUID();
  const { data: accepted } = await generateVideo(sql, guest.id, { key });
  const deleted = await startVideo(sql, guest.id);
  await sql`select api.cancel_video(${guest.id}, ${deleted})`;
  await sql`select api.delete_video_job(${guest.id}, ${deleted})`;
  const expected = {
    user_id: heir,
    merged_user_id: guest.id,
    credits_moved: 16,
    jobs_moved: 1,
    credits_remaining: 21,
  };
  assert.deepEqual((await mergeGuest(sql, heir, guest)).data, expected);
  assert.deepEqual((await balancesOf(sql, heir)).available, 21);
  assert.deepEqual(await balancesOf(sql, guest.id), { available: 0, owed: 0, lots: [] });
  const { jobs } = await first(
    sql`select api.video_jobs(${heir}, 20, null, null) #> '{data,videos}' as jobs`,
  );
  assert.deepEqual(jobs.map(({ job }: { job: { job_id: string } }) => job.job_id), [accepted?.job_id]);
  const { held } = await first(sql`select api.credits(${heir}, 20, null) #> '{data,credits_held}' as held`);
  assert.equal(held, price);

  // A retry under the guest's key is a replay, and costs nothing.
  const retried = await generateVideo(sql, heir, { key });
  assert.deepEqual([retried.data, retried.replayed], [accepted, true]);
  assert.equal((await balancesOf(sql, heir)).available, 21);

  assert.equal((await generateVideo(sql, guest.id, { key })).error, "ERR_4005");
  assert.equal((await closeAccount(sql, guest.id)).error, "ERR_4005");
  assert.equal((await sql`select from auth.sessions where user_id = ${guest.id}`).length, 0);
  // Whoever never got the answer asks again, and learns the same, though the session is gone and the token old.
  await add(sql, heir, 3);
  assert.deepEqual((await mergeGuest(sql, heir, guest, false)).data, expected);
  assert.equal((await balancesOf(sql, heir)).available, 24);
  assert.deepEqual(await violations(sql), []);
});

const ends = {
  "is completed": async (jobId: string, guestReference: string) => {
    const submission = await submitted(jobId);
    assert.equal(await receiveEvent(sql, submission, succeeded, "e", "fal", guestReference), "applied");
    await recordStored(sql, jobId, await claimTask(sql, jobId, "store"));
    return "completed";
  },
  fails: async (jobId: string, guestReference: string) => {
    assert.equal(
      await receiveEvent(sql, await submitted(jobId), failed, "e", "fal", guestReference),
      "applied",
    );
    return "failed";
  },
  "is cancelled at its provider": async (jobId: string) => {
    await sql`select api.cancel_video(j.user_id, j.id) from videos.jobs as j where j.id = ${jobId}`;
    await receiveEvent(sql, await submitted(jobId), cancelled);
    return "cancelled";
  },
  "gives no video": async (jobId: string) => {
    await receiveEvent(sql, await submitted(jobId), succeeded);
    await recordUnusableResult(sql, jobId, await claimTask(sql, jobId, "store"));
    return "failed";
  },
  "meets its deadline": async (jobId: string) => {
    await sql`update videos.jobs as j set due_at = core.now() where j.id = ${jobId}`;
    await recordCancel(sql, jobId, "no_request_id");
    return "failed";
  },
} satisfies Record<string, (jobId: string, guestReference: string) => Promise<string>>;

async function submitted(jobId: string) {
  const { submissionId, requestId } = await first(sql<{ submissionId: string; requestId: string }[]>`
    select s.id as "submissionId", s.request_id as "requestId" from videos.submissions as s where s.job_id = ${jobId}`);
  return { submissionId, requestId };
}

for (const [name, end] of Object.entries(ends)) {
  Deno.test(`a guest's video that ${name} after the merge is the heir's, and so are its credits`, async () => {
    const guest = await signedInGuest(database, 0);
    // In a lot that has nothing left, and one that expires.
    await add(sql, guest.id, price, { expiresInHours: 48 });
    const heir = await createHeir(sql);
    const jobId = await startVideo(sql, guest.id);
    await submit(sql, jobId);
    const { reference, folder } = await first(sql<{ reference: string; folder: string }[]>`
      select u.reference, videos.folder_of(j) as folder
      from accounts.users as u join videos.jobs as j on j.user_id = u.id where j.id = ${jobId}`);
    assert.deepEqual((await mergeGuest(sql, heir, guest)).data?.credits_moved, 0);
    const status = await end(jobId, reference);
    const job = await readJob(sql, jobId);
    assert.deepEqual([job.status, job.balance], [status, status === "completed" ? 0 : price]);
    const { lots } = await balancesOf(sql, heir);
    if (status !== "completed") assert.notEqual(lots[0]?.expires_at, null);
    assert.deepEqual((await balancesOf(sql, guest.id)).available, 0);
    // Where its files are does not change with whose they are.
    const facts = await loadTask(sql, { subject: jobId });
    assert.equal(facts.folder, folder);
    assert.deepEqual(await violations(sql), []);
  });
}

Deno.test("a guest's refund, which comes after the merge, is taken from the heir, and given back to them", async () => {
  const guest = await signedInGuest(database, 0);
  const heir = await createHeir(sql, 3);
  const { transfer_id } = await add(sql, guest.id, 10, { kind: "purchase" });
  await startVideo(sql, guest.id);
  await mergeGuest(sql, heir, guest);
  assert.equal((await balancesOf(sql, heir)).available, 9);
  const reversal = await reverse(sql, transfer_id);
  assert.deepEqual([reversal.credits_remaining, reversal.credits_owed], [0, 1]);
  await reverse(sql, reversal.transfer_id);
  const { available, owed } = await balancesOf(sql, heir);
  assert.deepEqual([available, owed], [9, 0]);
  // And what is bought for the guest still, such as by a notification that was late.
  assert.equal((await add(sql, guest.id, 7, { kind: "purchase" })).credits_remaining, 16);
  assert.equal((await balancesOf(sql, heir)).available, 16);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("a purchase that names the guest is the heir's, whoever presents it and whenever, and so is its refund", async () => {
  const [buyer, heir] = [await createBuyer(database), await createHeir(sql)];
  await sellPack(sql);
  const { session } = await first(sql<{ session: string }[]>`
    select s.id as session from auth.sessions as s where s.user_id = ${buyer.userId}`);
  const guest = { id: buyer.userId, session };
  const before = transactionOf({ app_account_token: buyer.token });
  assert.equal(outcomeOf(await present(sql, guest.id, before)), "credited");
  await mergeGuest(sql, heir, guest);
  assert.equal(outcomeOf(await present(sql, heir, before)), "already_credited");
  // Bought on the other device, and told by Apple, before the app knew of the merge.
  const after = transactionOf({ app_account_token: buyer.token });
  await notify(sql, notificationOf("ONE_TIME_CHARGE", after));
  assert.equal((await balancesOf(sql, heir)).available, 200);
  assert.equal(outcomeOf(await present(sql, heir, after)), "already_credited");
  const { purchases } = await first(
    sql`select api.get_purchases(${heir}, 20) #> '{data,purchases}' as purchases`,
  );
  assert.equal(purchases.length, 2);
  for (const bought of [before, after]) {
    await notify(sql, notificationOf("REFUND", refunded(bought, 100, "2026-11-21T12:00:00.000Z")));
  }
  const { available, owed } = await balancesOf(sql, heir);
  assert.deepEqual([available, owed], [0, 0]);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("a guest's debt is the heir's, and is paid of what either had", async () => {
  const [poor, rich] = [await signedInGuest(database, 0), await signedInGuest(database, 10)];
  for (const [guest, heirCredits, expected] of [[poor, 6, [2, 0]], [rich, 0, [0, 4]]] as const) {
    const heir = await createHeir(sql, heirCredits);
    const debtor = guest === poor ? guest.id : heir;
    const { transfer_id } = await add(sql, debtor, 14, { kind: "purchase" });
    await sql`select credits.deduct(${debtor}, a.balance, gen_random_uuid()::text)
      from credits.accounts as a where a.owner_id = ${debtor} and a.kind = 'available'`;
    await reverse(sql, transfer_id);
    if (debtor !== heir) await add(sql, debtor, 10);
    const { data } = await mergeGuest(sql, heir, guest);
    const { available, owed } = await balancesOf(sql, heir);
    assert.deepEqual([available, owed], expected);
    assert.equal(data?.credits_remaining, available);
    assert.equal((await balancesOf(sql, guest.id)).owed, 0);
  }
  assert.deepEqual(await violations(sql), []);
});

Deno.test("a token that is old, ended, unknown, one's own or no guest's merges nothing", async () => {
  const heir = await createHeir(sql, 1);
  const good = await signedInGuest(database);
  const malformed = async (guest: typeof good, isFresh = true) => {
    const { error, details } = await mergeGuest(sql, heir, guest, isFresh);
    assert.deepEqual([error, details?.fields?.[0]?.path], ["ERR_4008", "guest_token"]);
  };
  await malformed(good, false);
  await malformed({ ...good, session: crypto.randomUUID() });
  // Another's session, which is alive.
  await malformed({ ...good, session: (await signedInGuest(database)).session });
  await malformed({ id: crypto.randomUUID(), session: good.session });
  await malformed({ id: heir, session: good.session });
  const ended = await signedInGuest(database);
  await sql`delete from auth.sessions where user_id = ${ended.id}`;
  await malformed(ended);

  const wrong = async (guest: typeof good, status: string) => {
    const { error, details } = await mergeGuest(sql, heir, guest);
    assert.deepEqual([error, details?.status], ["ERR_4009", status]);
  };
  const linked = await signedInGuest(database);
  await sql`update auth.users set is_anonymous = false where id = ${linked.id}`;
  await wrong(linked, "not_guest");
  const closed = await signedInGuest(database);
  await closeAccount(sql, closed.id);
  await wrong(closed, "closed");
  const suspended = await signedInGuest(database);
  await sql`update accounts.users set is_banned = true where id = ${suspended.id}`;
  await wrong(suspended, "suspended");
  const another = await createHeir(sql);
  const merged = await signedInGuest(database);
  await mergeGuest(sql, another, merged);
  await wrong(merged, "merged");

  const otherGuest = await signedInGuest(database);
  assert.equal((await mergeGuest(sql, otherGuest.id, good)).error, "ERR_4006");
  await closeAccount(sql, another);
  assert.equal((await mergeGuest(sql, another, good)).error, "ERR_4005");
  assert.equal((await balancesOf(sql, heir)).available, 1);
  assert.equal((await balancesOf(sql, good.id)).available, 10);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("whoever was merged stays merged, by whatever hand, and a deleted user in Auth closes nothing", async () => {
  const [guest, heir] = [await signedInGuest(database), await createHeir(sql)];
  await mergeGuest(sql, heir, guest);
  await assert.rejects(sql`update accounts.users set merged_into = null where id = ${guest.id}`, {
    code: "23001",
  });
  await assert.rejects(sql`delete from accounts.users where id = ${guest.id}`, { code: "23001" });
  await assert.rejects(
    sql`update credits.accounts set merged_into = ${guest.id} where owner_id = ${guest.id}`,
    {
      code: "42501",
    },
  );
  await sql`delete from auth.users where id = ${guest.id}`;
  assert.deepEqual(await creditsOf(sql, heir), { available: 10, forfeited: 0 });
  const [{ closed_at } = {}] = await sql`select closed_at from accounts.users where id = ${guest.id}`;
  assert.equal(closed_at, null);
});

Deno.test("the operator sees whom a guest became, and gives nothing to who is no more", async () => {
  const [guest, heir, admin] = [await signedInGuest(database), await createHeir(sql), await createAdmin(sql)];
  await mergeGuest(sql, heir, guest);
  const { seen } = await first(sql`select api.get_admin_users(${admin}, ${guest.id}) -> 'data' as seen`);
  assert.deepEqual([seen.user.merged_into, seen.credits.remaining], [heir, 0]);
  for (
    const call of [
      sql`select api.admin_adjust_credits(${admin}, 'k1', 'f', 'r', ${guest.id}, 1, 'a test') as answer`,
      sql`select api.admin_refund_credits(${admin}, 'k2', 'f', 'r', ${guest.id}, 1, 'a test', null) as answer`,
      sql`select api.post_admin_users(${admin}, 'r', ${guest.id}, 'ban', 'a test') as answer`,
    ]
  ) {
    const { answer } = await first(call);
    assert.deepEqual([answer.error, answer.details.status], ["ERR_4009", "merged"]);
  }
});

Deno.test("erasing the heir removes all files and data of both, and of the guests before them", async () => {
  const own = await stillDatabase();
  await using _ = own;
  const [first_, second] = [await signedInGuest(own, 10), await signedInGuest(own, 10)];
  const heir = await createHeir(own.sql);
  const canary = "canary 51c2";
  const files = [];
  for (const [user, next] of [[first_.id, second.id], [second.id, heir]] as const) {
    await own.sql`update accounts.users set display_name = ${canary} where id = ${user}`;
    const { data } = await generateVideo(own.sql, user, { prompt: canary });
    const [{ folder } = {}] = await own.sql`
      select videos.folder_of(j) as folder from videos.jobs as j where j.id = ${data?.job_id ?? null}`;
    const name = `${folder}/video.mp4`;
    await own
      .sql`insert into storage.objects (id, bucket_id, name) values (gen_random_uuid(), 'videos', ${name})`;
    files.push(name);
    // As recovering makes of a guest a part of another guest.
    await own.sql`select accounts.merge(${user}, ${next})`;
  }
  await closeAccount(own.sql, heir);
  await own.advance(untilErasable);
  const erasure = await claimErasure(own.sql, heir);
  assert(erasure);
  assert.deepEqual(erasure.paths.toSorted(), files.toSorted());
  await own.sql`delete from storage.objects`;
  assert.equal(await eraseAccount(own.sql, erasure), "erased");
  assert.deepEqual(await tablesWith(own, canary), []);
  assert.equal((await own.sql`select from auth.users`).length, 0);
  assert.deepEqual(await violations(own.sql), []);
});

Deno.test("every table whose rows move says whose they are, and no row stays behind", async () => {
  const tables = await sql<
    { relation: string; owner_column: string | null; moves: boolean; rows_of: string }[]
  >`
    select t.relation, t.owner_column, t.rows_of, exists (
      select from accounts.privacy_classes as c where c.relation = t.relation and c.on_merge = 'moves'
    ) as moves
    from accounts.personal_tables as t`;
  for (const { relation, owner_column, moves } of tables) {
    const expected = moves && !["guard.idempotency_keys", "purchases.notifications"].includes(relation);
    assert.equal(owner_column !== null, expected, relation);
  }
  const [guest, heir] = [await signedInGuest(database, 20), await createHeir(sql)];
  const jobId = await startVideo(sql, guest.id);
  await receiveEvent(sql, await submit(sql, jobId), succeeded);
  await recordStored(sql, jobId, await claimTask(sql, jobId, "store"));
  await startVideo(sql, guest.id);
  const rows = async (of: string) => {
    const counts: Record<string, number> = {};
    for (const { relation, rows_of, moves } of tables) {
      if (!moves) continue;
      const [row] = await sql.unsafe(`select count(*)::int as n from ${relation} as t where ${rows_of}`, [[
        of,
      ]]);
      counts[relation] = row?.n;
    }
    return counts;
  };
  const before = await rows(guest.id);
  for (
    const relation of ["videos.assets", "videos.provider_events", "queue.tasks", "guard.idempotency_keys"]
  ) {
    assert(before[relation], `${relation} had no row`);
  }
  await mergeGuest(sql, heir, guest);
  // The heir's own: what moved their balance, and that they are told of the guest.
  const { "events.log": events = 0, "queue.tasks": tasks = 0 } = before;
  assert.deepEqual(await rows(heir), { ...before, "events.log": events + 2, "queue.tasks": tasks + 1 });
  assert.deepEqual(Object.values(await rows(guest.id)).filter((count) => count > 0), []);
  // By the columns themselves, for most tables are asked by way of their jobs.
  for (const { relation, owner_column } of tables) {
    if (owner_column === null) continue;
    const left = await sql.unsafe(`select from ${relation} as t where t.${owner_column} = $1`, [guest.id]);
    assert.equal(left.length, 0, relation);
  }
});
