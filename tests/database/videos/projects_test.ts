/** Projects of many videos, at the same time as others use them, and when their user goes. */
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  claimErasure,
  closeAccount,
  createGuest,
  eraseAccount,
  tablesWith,
  untilErasable,
} from "../support/accounts.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { testDatabase } from "../harness.ts";
import { propertyOptions } from "../../runs.ts";
import { cheapModel, settle } from "../support/jobs.ts";
import { first, type Sql } from "../support/ledger.ts";
import { createHeir, mergeGuest, signedInGuest } from "../support/merging.ts";
import { sharedDatabase } from "../support/shared-database.ts";
import { createPayer, generateVideo } from "../support/videos.ts";
import { fill, volumeUser } from "../support/volume.ts";

const database = sharedDatabase(stillDatabase);
const { sql } = database;

async function createProject(sql: Sql, userId: string, name = "Winter"): Promise<string> {
  const { id } = await first(sql`select api.post_projects(${userId}, ${name}) #>> '{data,project_id}' as id`);
  return id;
}

const deleteProject = async (sql: Sql, userId: string, projectId: string) =>
  (await first(sql`select api.delete_projects(${userId}, ${projectId}) as answer`)).answer;

/** Each project of the user with the count that it tells, and that of its videos. */
async function counts(sql: Sql, userId: string): Promise<[told: number, there: number][]> {
  const rows = await sql<{ told: number; there: number }[]>`
    select p.job_count as told, (
      select count(*)::int from videos.jobs as j where j.project_id = p.id and j.deleted_at is null
    ) as there
    from videos.projects as p where p.user_id = ${userId}`;
  return rows.map(({ told, there }) => [told, there]);
}

Deno.test("a project counts the videos that are in it, whatever is made and deleted in whatever order", async () => {
  await sql`update guard.policies set max_hits = 300, window_seconds = 1`;
  const step = fc.oneof(
    fc.record({ do: fc.constant("make" as const), project: fc.nat(2) }),
    fc.record({ do: fc.constant("delete" as const), job: fc.nat(9) }),
    fc.record({ do: fc.constant("forget" as const), project: fc.nat(2) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      await database.advance(2_000);
      const userId = await createPayer(sql, 1_000);
      const projects = [await createProject(sql, userId), await createProject(sql, userId)];
      const jobs: string[] = [];
      for (const step of steps) {
        if (step.do === "make") {
          const project = projects[step.project];
          const { data, error } = await generateVideo(sql, userId, project ? { project } : {});
          if (data) {
            jobs.push(data.job_id);
            await settle(sql, data.job_id, "cancelled");
          } else assert.equal(error, "ERR_4007");
        } else if (step.do === "delete") {
          const job = jobs[step.job];
          if (job) await sql`select api.delete_video_job(${userId}, ${job})`;
        } else {
          const project = projects[step.project];
          if (project) await deleteProject(sql, userId, project);
        }
        for (const [told, there] of await counts(sql, userId)) assert.equal(told, there);
      }
    }),
    propertyOptions(20, 300),
  );
});

Deno.test("videos that are made while their project is deleted are in none, and none is lost", async () => {
  for (let round = 0; round < 5; round++) {
    await database.advance(3_600_000);
    const userId = await createPayer(sql, 1_000);
    const project = await createProject(sql, userId);
    const [deleted, ...answers] = await Promise.all([
      deleteProject(sql, userId, project),
      ...Array.from({ length: 6 }, () => generateVideo(sql, userId, { project })),
    ]);
    assert.equal(deleted.error, undefined);
    const accepted = answers.flatMap(({ data }) => data ? [data.job_id] : []);
    for (const { error } of answers) assert([undefined, "ERR_4007"].includes(error), error ?? "");
    const { videos } = await first(sql`select api.video_jobs(${userId}, 20) #> '{data,videos}' as videos`);
    assert.equal(videos.length, accepted.length);
    for (const { job } of videos) assert.equal(job.project_id, null);
  }
});

Deno.test("a merged guest's projects are their heir's, with their videos, and those of the guest are none", async () => {
  const guest = await signedInGuest(database, 20);
  const heir = await createHeir(sql, 5);
  const [theirs, own] = [await createProject(sql, guest.id), await createProject(sql, heir, "Summer")];
  const { data } = await generateVideo(sql, guest.id, { project: theirs });
  assert((await mergeGuest(sql, heir, guest)).data);
  const { projects } = await first(
    sql`select api.get_projects(${heir}, 20) #> '{data,projects}' as projects`,
  );
  assert.deepEqual(
    projects.map(({ project_id, job_count }: Record<string, unknown>) => [project_id, job_count]),
    [[own, 0], [theirs, 1]],
  );
  const { videos } = await first(
    sql`select api.video_jobs(${heir}, 20, p_project_id => ${theirs}) #> '{data,videos}' as videos`,
  );
  assert.deepEqual(
    videos.map(({ job }: { job: Record<string, unknown> }) => [job["job_id"], job["project_id"]]),
    [
      [data?.job_id, theirs],
    ],
  );
});

Deno.test("a closed account's projects are erased, with what its user called them", async () => {
  const canary = "canary 7f3a";
  const userId = await createGuest(database, 100);
  await generateVideo(sql, userId, { project: await createProject(sql, userId, canary) });
  assert.deepEqual(await tablesWith(database, canary), ["videos.projects"]);
  await closeAccount(sql, userId);
  const { answer } = await first(sql`select api.post_projects(${userId}, ${canary}) as answer`);
  assert.equal(answer.error, "ERR_4005");
  await database.advance(untilErasable);
  const task = await claimErasure(sql, userId);
  assert(task);
  assert.equal(await eraseAccount(sql, task), "erased");
  assert.deepEqual(await tablesWith(database, canary), []);
  assert.equal((await sql`select from videos.projects where user_id = ${userId}`).length, 0);
});

Deno.test("a page of a project, and its end, cost the same among 100,000 videos as among a few", async (test) => {
  await using database = await testDatabase();
  const { sql } = database;
  await fill(sql, { users: 1, jobsPerUser: 1 });
  const user = volumeUser(0);
  const [large, small] = [await createProject(sql, user, "Large"), await createProject(sql, user, "Small")];
  // Triggers rest: they would do one by one what is written here at once.
  await sql.begin(async (sql) => {
    await sql`set local session_replication_role = replica`;
    await sql`
      insert into videos.jobs (
        user_id, model_id, model_name, status, prompt, settings, credits_used, request_id, created_at, completed_at, project_id
      )
      select ${user}, ${cheapModel}, 'A model', 'completed', 'A cat', '{}', 4, 'volume', now() - n * interval '1 minute', now(),
        case when n % 1000 = 0 then ${small}::uuid when n % 10 < 9 then ${large}::uuid end
      from generate_series(1, 100000) as n`;
  });
  await sql`vacuum analyze videos.jobs`;
  const rowsRead = async (statement: string) =>
    await sql.begin(async (sql) => {
      const read = async () =>
        (await first(sql`
        select (seq_tup_read + idx_tup_fetch)::int as rows from pg_stat_xact_user_tables
        where relid = 'videos.jobs'::regclass`)).rows;
      const before = await read();
      await sql.unsafe(`select ${statement}`);
      return await read() - before;
    });
  const late = `jsonb_build_object('created_at', now() - interval '60 days', 'id', '${user}')`;
  const pages = {
    "the first page of a large project": `api.video_jobs('${user}', 20, p_project_id => '${large}')`,
    "a late page of it": `api.video_jobs('${user}', 20, p_after => ${late}, p_project_id => '${large}')`,
    "those of it with a status that none has":
      `api.video_jobs('${user}', 20, 'failed', p_project_id => '${large}')`,
    "the first page of a small one": `api.video_jobs('${user}', 20, p_project_id => '${small}')`,
    "the first page of all": `api.video_jobs('${user}', 20)`,
    "the list of projects": `api.get_projects('${user}', 20)`,
    "deleting the large one": `api.delete_projects('${user}', '${large}')`,
  };
  for (const [name, page] of Object.entries(pages)) {
    await test.step(name, async () => {
      const rows = await rowsRead(page);
      assert(rows <= 21, `${rows} rows of videos.jobs were read`);
    });
  }
});
