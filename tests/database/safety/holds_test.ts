/** A legal hold keeps what there is of a person, whatever would erase it; without one all goes as before. */
import assert from "node:assert/strict";
import { claimErasure, closeAccount, createGuest, eraseAccount, untilErasable } from "../support/accounts.ts";
import { actionsAbout, createAdmin, readUser } from "../support/admins.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { claimTask } from "../support/generation.ts";
import { first, type Sql } from "../support/ledger.ts";
import { createHeir, mergeGuest, signedInGuest } from "../support/merging.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import { storedVideo } from "../support/safety.ts";

const database = sharedDatabase(stillDatabase);
const { sql, advance } = database;
const day = 86_400_000;

async function setHold(sql: Sql, adminId: string, userId: string, action: "hold" | "lift_hold" = "hold") {
  const { answer } = await first(sql<{ answer: { error?: string; details?: { status: string } } }[]>`
    select api.post_admin_users(${adminId}, 'request', ${userId}, ${action}, 'for a court') as answer`);
  return answer.error ?? "data";
}

const erasureOf = async (adminId: string, userId: string) => {
  const { data } = await readUser(sql, adminId, userId);
  return (data as unknown as { erasure: { waits_for: string | null; erased_at: string | null } | null })
    .erasure;
};

/** Deletes the files of a job as a worker does: how many it may. */
async function deleteFiles(jobId: string): Promise<{ isHeld: boolean; deleted: number }> {
  const task = await claimTask(sql, jobId, "delete_files");
  const { deleted } = await first(sql<{ deleted: number }[]>`
    select (api.record_files_deleted(${task.task_id}, ${task.attempt}, ${jobId}) #>> '{data,deleted}')::int as deleted`);
  return { isHeld: (task.facts as unknown as { is_held: boolean }).is_held, deleted };
}

Deno.test("what a held user deletes is hidden, and stays until the hold is lifted", async () => {
  const [adminId, userId] = [await createAdmin(sql), await createGuest(database, 100)];
  const jobId = await storedVideo(sql, userId);
  assert.equal(await setHold(sql, adminId, userId), "data");
  assert.equal(await setHold(sql, adminId, userId), "data", "a second call changes nothing");
  await sql`select api.delete_video_job(${userId}, ${jobId})`;
  for (let days = 0; days < 3; days++) {
    assert.deepEqual(await deleteFiles(jobId), { isHeld: true, deleted: 0 });
    await advance(day);
  }
  await advance(40 * day);
  await sql`select videos.sweep_deleted_jobs(core.now() - interval '30 days', 1000)`;
  const kept = await sql`
    select j.prompt from videos.jobs as j join videos.assets as a on a.job_id = j.id and a.deleted_at is null
    where j.id = ${jobId} and j.prompt <> ''`;
  assert.equal(kept.length, 1);

  await setHold(sql, adminId, userId, "lift_hold");
  assert.deepEqual(await deleteFiles(jobId), { isHeld: false, deleted: 1 }, "at once");
  await sql`select videos.sweep_deleted_jobs(core.now() - interval '30 days', 1000)`;
  const { prompt } = await first(
    sql<{ prompt: string }[]>`select prompt from videos.jobs where id = ${jobId}`,
  );
  assert.equal(prompt, "");
  assert.deepEqual((await actionsAbout(sql, userId)).map(({ action, reason }) => [action, reason]), [
    ["hold", "for a court"],
    ["lift_hold", "for a court"],
  ]);
});

Deno.test("the erasure of a closed account waits for the end of the hold, which the operator sees, whenever it was set", async () => {
  const adminId = await createAdmin(sql);
  for (const isLate of [false, true]) {
    const userId = await createGuest(database, 100);
    await sql`select api.patch_user_profile(${userId}, '{"display_name": "Ada", "language": "tr"}')`;
    const jobId = await storedVideo(sql, userId);
    await sql`
      insert into storage.objects (bucket_id, name)
      select b.id, u.reference || '/x' from accounts.users as u, storage.buckets as b
      where u.id = ${userId} and b.id in ('videos', 'uploads')`;
    if (!isLate) await setHold(sql, adminId, userId);
    assert.equal(await erasureOf(adminId, userId), null);
    await closeAccount(sql, userId);
    if (isLate) await setHold(sql, adminId, userId);
    assert.equal((await erasureOf(adminId, userId))?.waits_for, "legal_hold");
    for (let tries = 0; tries < 15; tries++) {
      await advance(tries === 0 ? untilErasable : day);
      const task = await claimErasure(sql, userId);
      assert(task, "it dies of no number of tries");
      assert.deepEqual(task.paths, []);
      assert.equal(await eraseAccount(sql, task), "waiting");
    }
    const [kept] = await sql`
      select h.profile, j.prompt <> '' as has_prompt,
        exists (select from auth.users as a where a.id = ${userId}) as is_in_auth
      from safety.holds as h, videos.jobs as j where h.user_id = ${userId} and j.id = ${jobId}`;
    assert.deepEqual({ ...kept }, {
      profile: isLate ? null : { display_name: "Ada", language: "tr" },
      has_prompt: true,
      is_in_auth: true,
    });

    await setHold(sql, adminId, userId, "lift_hold");
    assert.equal((await erasureOf(adminId, userId))?.waits_for, "worker");
    await sql`delete from storage.objects`;
    const task = await claimErasure(sql, userId);
    assert(task);
    assert.equal(await eraseAccount(sql, task), "erased");
    const shown = await erasureOf(adminId, userId);
    assert.equal(shown?.waits_for, null);
    assert(shown?.erased_at);
    assert.equal(await setHold(sql, adminId, userId), "ERR_4009", "nothing is left to hold");
    assert.deepEqual([...await sql`select from safety.holds where user_id = ${userId}`], []);
  }
});

Deno.test("a guest who is held stays so when they become somebody else", async () => {
  const adminId = await createAdmin(sql);
  const guest = await signedInGuest(database, 10);
  const heirId = await createHeir(sql);
  const jobId = await storedVideo(sql, guest.id);
  await setHold(sql, adminId, guest.id);
  await mergeGuest(sql, heirId, guest);
  await sql`select api.delete_video_job(${heirId}, ${jobId})`;
  assert.deepEqual(await deleteFiles(jobId), { isHeld: true, deleted: 0 });
  assert.equal(await setHold(sql, adminId, guest.id, "lift_hold"), "data");
  assert.deepEqual(await deleteFiles(jobId), { isHeld: false, deleted: 1 });
});

Deno.test("whom a held guest became is shown with the hold and with what was done to the guest, and it is lifted there", async () => {
  const adminId = await createAdmin(sql);
  const guest = await signedInGuest(database, 10);
  const heirId = await createHeir(sql);
  await setHold(sql, adminId, guest.id);
  await mergeGuest(sql, heirId, guest);
  const shown = async () => {
    const { data } = await readUser(sql, adminId, heirId);
    assert(data);
    return [data.guests, data.legal_hold !== null, data.recent_actions.map(({ action }) => action)];
  };
  assert.deepEqual(await shown(), [[guest.id], true, ["hold"]]);
  assert.equal(await setHold(sql, adminId, heirId, "lift_hold"), "data");
  assert.deepEqual(await shown(), [[guest.id], false, ["lift_hold", "hold"]]);
  assert.deepEqual([...await sql`select from safety.holds where user_id = ${guest.id}`], []);
});

Deno.test("a picture that a held user deletes stays in storage until the hold is lifted", async () => {
  const [adminId, userId] = [await createAdmin(sql), await createGuest(database, 10)];
  const { id, folder } = await first(sql<{ id: string; folder: string }[]>`
    select answer #>> '{data,upload_id}' as id, answer #>> '{data,folder}' as folder
    from (select api.post_uploads(${userId}, 'image/png', 1000) as answer) as u`);
  await sql`insert into storage.objects (bucket_id, name) values ('uploads', ${`${folder}/incoming`})`;
  await setHold(sql, adminId, userId);
  await sql`select api.delete_uploads(${userId}, ${id})`;
  const tidy = async () => {
    const { task_id, attempt } = await claimTask(sql, id, "tidy_upload");
    const [row] = await sql<{ paths: string[] }[]>`
      select array(select jsonb_array_elements_text(api.load_upload_files(${id}) #> '{data,paths}')) as paths`;
    await sql`select api.record_upload_tidied(${task_id}, ${attempt}, ${id})`;
    return row?.paths;
  };
  for (let days = 0; days < 12; days++) {
    assert.deepEqual(await tidy(), []);
    await advance(day);
  }
  await setHold(sql, adminId, userId, "lift_hold");
  assert.deepEqual(await tidy(), [`${folder}/incoming`]);
});

Deno.test("a held user is not told of it, in no export and no profile; an admin is held by nobody", async () => {
  const [adminId, userId] = [await createAdmin(sql), await createGuest(database, 10)];
  await setHold(sql, adminId, userId);
  const { told } = await first(sql<{ told: string }[]>`
    select string_agg(accounts.export_page(${userId}, t, null, 100)::text, '') || (
      select api.get_user_profile(${userId})::text
    ) as told
    from accounts.exported_tables() as t`);
  assert(!/hold|court/.test(told), told);
  assert.equal(await setHold(sql, adminId, await createAdmin(sql)), "ERR_4006");
  assert.equal(await setHold(sql, userId, userId), "ERR_4006");
});
