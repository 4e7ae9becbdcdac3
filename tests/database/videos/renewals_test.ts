/** How often a user's URLs are signed anew. */
import assert from "node:assert/strict";
import { stillDatabase } from "../support/frozen-clock.ts";
import { recordStored } from "../support/generation.ts";
import { acceptJob } from "../support/jobs.ts";
import { first, type Sql } from "../support/ledger.ts";
import { setPolicy } from "../support/rate-limits.ts";
import { createPayer } from "../support/videos.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const database = sharedDatabase(stillDatabase);

interface Video {
  job: { job_id: string; video_url: string | null; thumbnail_url: string | null; retry_after?: number };
  paths: Record<string, string>;
}

/** A user with so many completed videos, whose URLs have no time left. */
async function watcher(sql: Sql, count: number): Promise<{ userId: string; jobIds: string[] }> {
  const userId = await createPayer(sql, 4 * count);
  const jobIds = await Array.fromAsync({ length: count }, async () => {
    const jobId = await acceptJob(sql, userId);
    await sql`update videos.jobs set status = 'processing' where id = ${jobId}`;
    await recordStored(sql, jobId);
    return jobId;
  });
  await sql`update videos.jobs set video_url = 'old', video_url_expires_at = core.now() where user_id = ${userId}`;
  return { userId, jobIds };
}

async function status(sql: Sql, userId: string, jobId: string): Promise<Video> {
  // How often one may read is not what is asked here.
  await sql`delete from guard.hits where policy = 'reads'`;
  const { answer } = await first(sql<{ answer: { data: Video } }[]>`
    select api.video_status(${userId}, ${jobId}) as answer`);
  return answer.data;
}

async function page(sql: Sql, userId: string): Promise<Video[]> {
  const { answer } = await first(sql<{ answer: { data: { videos: Video[] } } }[]>`
    select api.video_jobs(${userId}, 100) as answer`);
  return answer.data.videos;
}

const isRenewed = ({ job, paths }: Video) => "video" in paths && job.retry_after === undefined;

function assertRefused({ job, paths }: Video, seconds: number): void {
  assert.deepEqual([job.video_url, job.thumbnail_url, job.retry_after, paths], [null, null, seconds, {}]);
}

Deno.test("a URL is renewed 200 times in 24 hours; then there is none, and the job says for how long", async () => {
  const { sql, advance } = database;
  const { userId, jobIds: [jobId = ""] } = await watcher(sql, 1);
  for (let count = 0; count < 200; count++) assert(isRenewed(await status(sql, userId, jobId)), `${count}`);
  await advance(3_600_000);
  assertRefused(await status(sql, userId, jobId), 82_800);
  const [listed] = await page(sql, userId);
  assert(listed);
  assertRefused(listed, 82_800);
  await advance(82_800_000);
  assert(isRenewed(await status(sql, userId, jobId)), "a day later");
});

Deno.test("a page counts each video that it renews, the newest first, and none whose URL is still good", async () => {
  const { sql } = database;
  const { userId, jobIds } = await watcher(sql, 5);
  await setPolicy(sql, "signed_urls", { maxHits: 3, windowSeconds: 86_400 });
  const [good = "", ...stale] = jobIds;
  await sql`update videos.jobs set video_url_expires_at = core.now() + interval '10 minutes' where id = ${good}`;
  const videos = await page(sql, userId);
  const idsOf = (chosen: Video[]) => chosen.map(({ job }) => job.job_id).sort();
  assert.deepEqual(idsOf(videos), jobIds.toSorted());
  const refused = videos.filter(({ job }) => job.retry_after !== undefined);
  assert.equal(refused.length, stale.length - 3);
  assert.equal(refused[0], videos.findLast(({ job }) => job.job_id !== good), "the oldest that is stale");
  assert.equal(videos.find(({ job }) => job.job_id === good)?.job.video_url, "old");
  await setPolicy(sql, "signed_urls", { maxHits: 200, windowSeconds: 86_400 });
});

Deno.test("the operator is told who meets the limit, without being told who they are", async () => {
  const { sql } = database;
  const { userId, jobIds: [jobId = ""] } = await watcher(sql, 1);
  await setPolicy(sql, "signed_urls", { maxHits: 1, windowSeconds: 86_400 });
  await status(sql, userId, jobId);
  const alerts = () =>
    sql<{ subject: string; count: number; details: { bytes: number; renewals: number } }[]>`
      select a.subject, a.count, a.details from ops.alerts as a
      join accounts.users as u on u.reference::text = a.subject
      where a.rule = 'egress' and u.id = ${userId}`;
  assert.deepEqual([...await alerts()], []);
  await status(sql, userId, jobId);
  await status(sql, userId, jobId);
  const [alert, ...others] = await alerts();
  assert.deepEqual([alert?.count, others.length, alert?.details.renewals], [2, 0, 1]);
  assert((alert?.details.bytes ?? 0) > 0);
  await setPolicy(sql, "signed_urls", { maxHits: 200, windowSeconds: 86_400 });
});

Deno.test("one user's renewals are not another's, and a limiter that is broken stops nobody", async () => {
  const { sql } = database;
  await setPolicy(sql, "signed_urls", { maxHits: 1, windowSeconds: 86_400 });
  for (const { userId, jobIds: [jobId = ""] } of [await watcher(sql, 1), await watcher(sql, 1)]) {
    assert(isRenewed(await status(sql, userId, jobId)));
    assert(!isRenewed(await status(sql, userId, jobId)));
  }
  await sql`delete from guard.policies where name = 'signed_urls'`;
  const { userId, jobIds: [jobId = ""] } = await watcher(sql, 1);
  for (let count = 0; count < 3; count++) assert(isRenewed(await status(sql, userId, jobId)));
});
