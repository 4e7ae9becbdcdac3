/** A guest with much of everything is merged within what the Data API gives a statement. */
import assert from "node:assert/strict";
import { testDatabase } from "../harness.ts";
import { cheapModel } from "../support/jobs.ts";
import { balancesOf, violations } from "../support/ledger.ts";
import { createHeir, mergeGuest, signedInGuest } from "../support/merging.ts";

/** As the platform has it for the role of the Data API. */
const statementTimeout = 8_000;

Deno.test("a guest with 10,000 videos, their files and submissions, and 1,000 lots is merged at once", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const [guest, heir] = [await signedInGuest(database, 0), await createHeir(sql, 5)];
  await sql`
    select credits.add(${guest.id}, 1 + n % 3, 'grant', 'lot:' || n, core.now() + n * interval '1 hour')
    from generate_series(1, 1000) as n`;
  // Every other one is empty.
  await sql`select credits.deduct(${guest.id}, 1000, 'spent')`;
  await sql`alter table videos.jobs disable trigger user`;
  await sql`
    insert into videos.jobs (
      user_id, model_id, model_name, status, prompt, settings, credits_used, request_id, created_at, completed_at, error_code
    )
    select ${guest.id}, ${cheapModel}, 'A model', 'failed', 'A cat', '{}', 0, 'volume', now() - n * interval '1 hour', now(), 'ERR_5002'
    from generate_series(1, 10000) as n`;
  await sql`alter table videos.jobs enable trigger user`;
  await sql`
    insert into videos.submissions (job_id, owner_id, provider, provider_model, state, cost_cents, claimed_at)
    select j.id, j.user_id, 'fal', 'a-model', 'refused', 0, now() from videos.jobs as j`;
  await sql`
    insert into videos.assets (job_id, owner_id, kind, path, bytes, content_type, created_at)
    select j.id, j.user_id, 'video', j.id || '/video.mp4', 1, 'video/mp4', now() from videos.jobs as j`;
  await sql`analyze`;
  const { available } = await balancesOf(sql, guest.id);
  const startedAt = performance.now();
  const { data } = await mergeGuest(sql, heir, guest);
  const milliseconds = Math.round(performance.now() - startedAt);
  console.log(`10,000 videos and 1,000 lots are merged: ${milliseconds} ms`);
  assert.deepEqual([data?.credits_moved, data?.jobs_moved, data?.credits_remaining], [
    available,
    10_000,
    available + 5,
  ]);
  assert(milliseconds < statementTimeout);
  const again = performance.now();
  assert.deepEqual((await mergeGuest(sql, heir, guest)).data, data);
  console.log(`a second call: ${Math.round(performance.now() - again)} ms`);
  const found = await violations(sql);
  // These jobs held nothing.
  assert.deepEqual(found.filter((violation) => !violation.startsWith("hold_ended_wrong")), []);
});
