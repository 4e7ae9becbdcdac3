/** A user's history of videos, page by page, and the URLs that are kept after one was read. */
import assert from "node:assert/strict";
import { jobStatuses } from "../../../supabase/functions/_shared/videos/job-status.ts";
import { recordStored } from "../support/generation.ts";
import { acceptJob, cheapModel, settle } from "../support/jobs.ts";
import { add, first, openAccount, type Sql } from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const { sql, advance } = sharedDatabase();

interface Page {
  videos: { job: { job_id: string; status: string; created_at: string }; paths: Record<string, string> }[];
  next: Record<string, string> | null;
}

interface Answer {
  data?: Page;
  error?: string;
  limits?: { policy: string }[];
}

interface Query {
  limit?: number;
  status?: string | null;
  after?: Page["next"];
}

async function answerOf(
  sql: Sql,
  userId: string,
  { limit = 20, status = null, after = null }: Query = {},
): Promise<Answer> {
  return (await first(sql<{ answer: Answer }[]>`
    select api.video_jobs(${userId}, ${limit}, ${status}, ${after && sql.json(after)}) as answer`))
    .answer;
}

async function read(sql: Sql, userId: string, query: Query = {}): Promise<Page> {
  // Reading a history page by page is more than a user may do in a minute.
  await sql`delete from guard.hits`;
  const { data } = await answerOf(sql, userId, query);
  if (data === undefined) throw new Error("The history was not read");
  return data;
}

const idsOf = ({ videos }: Page) => videos.map(({ job }) => job.job_id);

/** All ids of a list, page by page; `between` happens after each page. */
async function readAll(
  sql: Sql,
  userId: string,
  query: Query = {},
  between: () => Promise<unknown> = () => Promise.resolve(),
): Promise<string[]> {
  const ids = [];
  for (let after: Page["next"] = null;;) {
    const page = await read(sql, userId, { ...query, after });
    ids.push(...idsOf(page));
    assert(ids.length < 1_000, "The pages do not end");
    if (page.next === null) return ids;
    await between();
    after = page.next;
  }
}

interface Made {
  id: string;
  status: string;
  minutes: number;
  isDeleted: boolean;
}

/** Jobs of every status, several at the same time, some deleted: newest first, as a history shows them. */
async function makeHistory(sql: Sql, userId: string, count: number): Promise<Made[]> {
  const made = Array.from({ length: count }, (_, index): Made => {
    const status = jobStatuses[index % jobStatuses.length] ?? "pending";
    const hasEnded = index % jobStatuses.length >= 2;
    return {
      id: crypto.randomUUID(),
      status,
      // Of ten minutes each has several jobs, in no order.
      minutes: (index * 7) % 10,
      isDeleted: hasEnded && index % 4 === 0,
    };
  });
  await sql`
    insert into videos.jobs (
      id, user_id, model_id, model_name, status, prompt, settings, credits_used, error_code, request_id, created_at,
      completed_at, due_at, deleted_at
    )
    select m.id, ${userId}, ${cheapModel}, 'A model', m.status::videos.job_status, 'a prompt', '{}', 0,
      case m.status when 'failed' then 'ERR_5002' end, 'test', now() + m.minutes * interval '1 minute',
      case when m.status not in ('pending', 'processing') then now() end,
      case when m.status in ('pending', 'processing') then now() end, case when m."isDeleted" then now() end
    from jsonb_to_recordset(${
    sql.json(made as never)
  }) as m (id uuid, status text, minutes integer, "isDeleted" boolean)`;
  return made.toSorted((a, b) => b.minutes - a.minutes || (a.id < b.id ? 1 : -1)).filter(({ isDeleted }) =>
    !isDeleted
  );
}

Deno.test("a history is read newest first, each job once, whatever the size of its pages and the filter", async () => {
  const [userId, other] = [await openAccount(sql), await openAccount(sql)];
  const history = await makeHistory(sql, userId, 97);
  await makeHistory(sql, other, 10);
  for (const status of [null, ...jobStatuses]) {
    const expected = history.filter((made) => status === null || made.status === status).map(({ id }) => id);
    assert(expected.length > 9);
    for (const limit of [1, 3, 20, expected.length - 1, expected.length, 100]) {
      assert.deepEqual(await readAll(sql, userId, { limit, status }), expected, `${status} by ${limit}`);
    }
  }
});

Deno.test("the last page says that it is the last, and does not leave it to an empty one", async () => {
  const userId = await openAccount(sql);
  await makeHistory(sql, userId, 3);
  const page = await read(sql, userId, { limit: 2 });
  assert.equal(page.videos.length, 2);
  const { videos, next } = await read(sql, userId, { limit: 1, after: page.next });
  assert.deepEqual([videos.length, next], [1, null]);
  const all = await read(sql, userId, { limit: 3 });
  assert.deepEqual([all.videos.length, all.next], [3, null]);
  assert.deepEqual(await read(sql, userId, { status: "failed" }), { videos: [], next: null });
  assert.deepEqual(await read(sql, await openAccount(sql)), { videos: [], next: null });
});

Deno.test("jobs that are accepted meanwhile move no page", async () => {
  const userId = await openAccount(sql);
  await add(sql, userId, 1000);
  const expected: string[] = [];
  for (let count = 0; count < 7; count++) {
    expected.unshift(await acceptJob(sql, userId));
    await advance(1);
  }
  const newer: string[] = [];
  const between = async () => {
    await advance(1);
    newer.unshift(await acceptJob(sql, userId));
  };
  assert.deepEqual(await readAll(sql, userId, { limit: 2 }, between), expected);
  assert.deepEqual(await readAll(sql, userId, { limit: 2, status: "pending" }, between), [
    ...newer.slice(-3),
    ...expected,
  ]);
});

Deno.test("deleted jobs are absent, also those that were deleted after their page's beginning was told", async () => {
  const userId = await openAccount(sql);
  const history = (await makeHistory(sql, userId, 12)).map(({ id }) => id);
  const page = await read(sql, userId, { limit: 3 });
  // The last of the page, where the next one begins, and the first of that.
  await sql`update videos.jobs set deleted_at = now() where id in ${
    sql([history[2] ?? "", history[3] ?? ""])
  }`;
  const next = await read(sql, userId, { limit: 3, after: page.next });
  assert.deepEqual(idsOf(next), history.slice(4, 7));
  assert.deepEqual(
    await readAll(sql, userId, { limit: 5 }),
    history.filter((_, index) => index !== 2 && index !== 3),
  );
});

Deno.test("a completed job comes with its files, and every job as video-status shows it", async () => {
  const userId = await openAccount(sql);
  await add(sql, userId, 10);
  const jobId = await acceptJob(sql, userId);
  await acceptJob(sql, userId);
  await sql`update videos.jobs set status = 'processing' where id = ${jobId}`;
  await recordStored(sql, jobId);
  const { videos } = await read(sql, userId);
  assert.deepEqual(videos.map(({ paths }) => paths), [{}, { video: `${jobId}/video.mp4` }]);
  for (const { job } of videos) {
    const { status } = await first(sql<{ status: Answer & { data: { job: unknown } } }[]>`
      select api.video_status(${userId}, ${job.job_id}) as status`);
    assert.deepEqual(job, status.data.job);
  }
});

Deno.test("reading counts against `reads`, and a suspended or closed account has no history", async () => {
  const userId = crypto.randomUUID();
  assert.deepEqual((await answerOf(sql, userId)).limits?.map(({ policy }) => policy), ["reads"]);
  await sql`update accounts.users set is_banned = true where id = ${userId}`;
  assert.equal((await answerOf(sql, userId)).error, "ERR_4017");
  await sql`update accounts.users set closed_at = now() where id = ${userId}`;
  assert.equal((await answerOf(sql, userId)).error, "ERR_4005");
});

const far = "2099-01-01T00:00:00+00:00";
const farther = "2099-01-02T00:00:00+00:00";

/** Keeps a URL for each job, and gives how many were kept. */
async function keep(
  sql: Sql,
  jobIds: readonly string[],
  expiresAt: string,
  url = "https://storage.example/new",
) {
  const urls = jobIds.map((job_id) => ({
    job_id,
    video_url: url,
    thumbnail_url: null,
    video_url_expires_at: expiresAt,
  }));
  const { kept } = await first(sql<{ kept: number }[]>`
    select (api.keep_signed_urls(${sql.json(urls)}) -> 'data' ->> 'kept')::integer as kept`);
  return kept;
}

async function completedJobs(sql: Sql, count: number): Promise<string[]> {
  const userId = await openAccount(sql);
  await add(sql, userId, 4 * count);
  const jobIds = [];
  for (let made = 0; made < count; made++) {
    const jobId = await acceptJob(sql, userId);
    await sql`update videos.jobs set status = 'processing' where id = ${jobId}`;
    await recordStored(sql, jobId);
    jobIds.push(jobId);
  }
  await sql`update videos.jobs set video_url_expires_at = now() where user_id = ${userId}`;
  return jobIds;
}

async function urlOf(sql: Sql, jobId: string): Promise<string> {
  const { url } = await first(sql<{ url: string }[]>`
    select j.video_url as url from videos.jobs as j where j.id = ${jobId}`);
  return url;
}

Deno.test("the URLs of a page are kept in one call, and later ones are never replaced by earlier ones", async () => {
  const jobIds = await completedJobs(sql, 3);
  assert.equal(await keep(sql, jobIds, far), 3);
  assert.equal(await keep(sql, jobIds, far), 0, "a second call changes nothing");
  assert.equal(await keep(sql, jobIds.slice(1), farther, "https://storage.example/newer"), 2);
  assert.equal(await keep(sql, jobIds, far, "https://storage.example/older"), 0);
  const urls = await Promise.all(jobIds.map((jobId) => urlOf(sql, jobId)));
  assert.deepEqual(urls.map((url) => url.split("/").at(-1)), ["new", "newer", "newer"]);
});

Deno.test("a URL is kept for a completed job alone, and not for one that was deleted meanwhile", async () => {
  const [kept = "", deleted = ""] = await completedJobs(sql, 2);
  await sql`update videos.jobs set deleted_at = now(), video_url = null where id = ${deleted}`;
  const userId = await openAccount(sql);
  await add(sql, userId, 8);
  const [pending, failed] = [await acceptJob(sql, userId), await acceptJob(sql, userId)];
  await settle(sql, failed, "failed");
  assert.equal(await keep(sql, [pending, deleted, kept, failed, crypto.randomUUID()], far), 1);
  assert.equal(await urlOf(sql, deleted), null);
});

Deno.test("keeping URLs waits for nobody: a job that is locked is passed over", async () => {
  const jobIds = await completedJobs(sql, 2);
  const holder = await sql.reserve();
  try {
    await holder`begin`;
    await holder`select from videos.jobs where id = ${jobIds[0] ?? ""} for update`;
    const kept = await sql.begin(async (sql) => {
      await sql`set local lock_timeout = '10ms'`;
      return await keep(sql, jobIds, far);
    });
    assert.equal(kept, 1);
    await holder`rollback`;
  } finally {
    holder.release();
  }
  assert.equal(await keep(sql, jobIds, far), 1);
});
