/** A user's videos and credits, read page by page as an app reads them. */
import assert from "node:assert/strict";
import * as z from "zod";
import { CreditsResponse } from "../../supabase/functions/credits/schema.ts";
import { VideoJobsResponse } from "../../supabase/functions/video-jobs/schema.ts";
import { allOperations } from "../operations.ts";
import { eventually } from "./eventually.ts";
import { type Answer, bodyOf, errorOf } from "./support/answer.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import { crowd } from "./support/crowd.ts";
import { deadTask } from "./support/example-requests.ts";
import { ended, generate, priceOfKling } from "./support/videos.ts";

const backend = shared(startBackend);

const jobsOf = (answer: Answer) => bodyOf(answer, 200, VideoJobsResponse);
const creditsOf = (answer: Answer) => bodyOf(answer, 200, CreditsResponse);

/** A guest with as many completed videos, and their ids, newest first. */
async function withVideos(count: number): Promise<{ guest: Guest; jobIds: string[] }> {
  const guest = await backend.signIn(count * priceOfKling);
  const jobIds: string[] = [];
  for (let made = 0; made < count; made++) jobIds.unshift((await generate(guest)).job_id);
  await Promise.all(jobIds.map((jobId) => ended(backend, guest, jobId)));
  return { guest, jobIds };
}

Deno.test("a history is paged, and shows each job as video-status does", async () => {
  const { guest: { kinora }, jobIds } = await withVideos(3);
  const seen: string[] = [];
  for await (const job of kinora.jobs({ limit: 2 })) {
    seen.push(job.job_id);
    const { progress: _progress, next_poll_seconds: _seconds, ...status } = await kinora.job(job.job_id);
    assert.deepEqual(job, status);
  }
  assert.deepEqual(seen, jobIds);
});

Deno.test("a history can be of one status, and neither shows deleted jobs nor another's", async () => {
  const { guest, jobIds: [newest = "", oldest = ""] } = await withVideos(2);
  const stranger = await backend.signIn();
  const ids = async (caller: Guest, status: string) =>
    jobsOf(await caller.call(`video-jobs?status=${status}`)).jobs.map(({ job_id }) => job_id);
  assert.deepEqual(await ids(guest, "completed"), [newest, oldest]);
  assert.deepEqual(await ids(guest, "failed"), []);
  assert.deepEqual(jobsOf(await stranger.call("video-jobs")), { jobs: [], next_cursor: null });
  const deleted = await guest.call(`delete-video-job?job_id=${newest}`, { method: "DELETE" });
  assert.equal(deleted.status, 204);
  assert.deepEqual(await ids(guest, "completed"), [oldest]);
});

Deno.test("a page's stale URLs are all renewed, open the files, and are there for the next reader", async () => {
  const { sql } = backend.database;
  const { guest } = await withVideos(2);
  await sql`
    update videos.jobs set video_url_expires_at = now() + interval '9 minutes', video_url = 'https://stale.example'
    where user_id = ${guest.id}`;
  const { jobs } = jobsOf(await guest.call("video-jobs"));
  for (const { video_url: url, video_url_expires_at: expiresAt } of jobs) {
    assert(url !== null && expiresAt !== null);
    assert(Date.parse(expiresAt) - Date.now() > 50 * 60_000);
    const video = await fetch(url);
    assert.deepEqual([video.status, video.headers.get("content-type")], [200, "video/mp4"]);
    await video.body?.cancel();
  }
  await eventually("the URLs are kept", async () => {
    const rows = await sql`select from videos.jobs where user_id = ${guest.id} and video_url like '%stale%'`;
    return rows.length === 0 || undefined;
  });
  assert.deepEqual(jobsOf(await guest.call("video-jobs")).jobs, jobs);
});

Deno.test("a video that storage has lost leaves the rest of the history to be seen", async () => {
  const { sql } = backend.database;
  const { guest, jobIds: [newest = ""] } = await withVideos(2);
  await sql`
    update videos.jobs set video_url_expires_at = now() where user_id = ${guest.id}`;
  await sql`update videos.assets set path = path || '.lost' where job_id = ${newest} and kind = 'video'`;
  const { jobs: [lost, there] } = jobsOf(await guest.call("video-jobs"));
  assert.deepEqual([lost?.status, lost?.video_url], ["completed", null]);
  assert.match(there?.video_url ?? "", /^http/);
});

Deno.test("credits are told, and paged with what moved them", async () => {
  const { guest: { kinora }, jobIds } = await withVideos(2);
  assert.deepEqual(await kinora.credits(), {
    credits_remaining: 0,
    credits_held: 0,
    credits_owed: 0,
    expiring: [],
  });
  const seen: string[] = [];
  for await (const { kind, amount, job_id } of kinora.transactions({ limit: 2 })) {
    seen.push(`${kind} ${amount} ${job_id}`);
  }
  assert.deepEqual(seen, [
    ...jobIds.map((jobId) => `hold -${priceOfKling} ${jobId}`),
    `adjustment ${2 * priceOfKling} null`,
  ]);
});

Deno.test("credits that are due are gone from the answer, and what runs is held", async () => {
  const { control } = backend.stack.simulators.fal;
  const { sql } = backend.database;
  const guest = await backend.signIn();
  assert.equal(creditsOf(await guest.call("credits")).credits_remaining, 0);
  for (const [amount, minutes] of [[5, 1], [10, 90]]) {
    await sql`
      select credits.add(${guest.id}, ${amount ?? 0}, 'grant', gen_random_uuid()::text,
        core.now() + ${minutes ?? 0} * interval '1 minute')`;
  }
  await backend.database.advance(60_000);
  await control.rules({ prompt: "never ends", outcome: "never" });
  await generate(guest, "never ends");
  const { credits_remaining, credits_held, expiring, transactions } = creditsOf(await guest.call("credits"));
  assert.deepEqual([credits_remaining, credits_held], [10 - priceOfKling, priceOfKling]);
  assert.deepEqual(expiring.map(({ credits }) => credits), [10 - priceOfKling]);
  assert.deepEqual(transactions.map(({ kind }) => kind), ["hold", "expiry", "grant", "grant"]);
  await backend.proveLedger();
});

/** A guest who has bought two packs. */
async function withPurchases(): Promise<Guest> {
  const guest = await backend.signIn();
  for (const productId of ["credits_10", "credits_30"]) {
    const { signed } = await backend.stack.simulators.appStore.do({ deed: "buy", productId });
    const presented = await guest.call("purchases", { body: { signed_transaction: signed } });
    assert.equal(presented.status, 200, JSON.stringify(presented.body));
  }
  return guest;
}

/** A guest with two pending uploads. */
async function withUploads(): Promise<Guest> {
  const guest = await backend.signIn();
  for (const bytes of [1000, 2000]) {
    const begun = await guest.call("uploads", { body: { content_type: "image/png", bytes } });
    assert.equal(begun.status, 201);
  }
  return guest;
}

async function withCases(): Promise<Guest> {
  const { guest, jobIds } = await withVideos(2);
  for (const job_id of jobIds) {
    const reported = await guest.call("reports", { body: { job_id, reason: "hate" } });
    assert.equal(reported.status, 202);
  }
  return await backend.signInAdmin();
}

/** An admin, with a webhook that two events are for. */
async function withDeliveries(): Promise<[Guest, string]> {
  const admin = await backend.signInAdmin();
  const { sql } = backend.database;
  const id = crypto.randomUUID();
  await sql`select webhooks.add(${id}, 'https://hooks.example.com/', '{alert.raised}', 'v1.eA==')`;
  for (let event = 0; event < 2; event++) await sql`select events.publish('alert.raised', null, '{}')`;
  return [admin, `webhook_id=${id}`];
}

/** Who has two entries at least of each list that is read page by page, and what else the list must be asked with. */
const withEntries: Readonly<Record<string, () => Promise<Guest | [Guest, string]>>> = {
  "GET admin-webhook-deliveries": withDeliveries,
  "GET admin-alerts": async () => {
    for (const subject of ["one", "another"]) {
      await backend.database.sql`select ops.raise_alert('provider_refuses', ${subject}, '{}')`;
    }
    return await backend.signInAdmin();
  },
  "GET admin-errors": async () => {
    const { sql } = backend.database;
    for (const place of ["tick", "models"]) {
      await sql`select ops.record_error('ERR_6003', ${place}, null, null, '{}')`;
    }
    return await backend.signInAdmin();
  },
  "GET admin-queue": async () => {
    for (let task = 0; task < 2; task++) await deadTask(backend);
    return await backend.signInAdmin();
  },
  "GET admin-reports": withCases,
  "GET credits": async () => (await withVideos(2)).guest,
  "GET purchases": withPurchases,
  "GET uploads": withUploads,
  "GET notifications": async () => {
    const guest = await backend.signIn();
    // Whoever has called nothing is not known yet.
    await guest.call("notifications");
    for (let event = 0; event < 2; event++) {
      await backend.database.sql`
        select events.publish('video.completed', ${guest.id}, '{"model_name": "Kling"}')`;
    }
    await backend.database.sql`
      select notify.deliver(d.id) from events.deliveries as d join events.log as l on l.id = d.event_id
      where l.user_id = ${guest.id}`;
    return guest;
  },
  "GET projects": async () => {
    const guest = await backend.signIn();
    for (const name of ["Winter", "Summer"]) await guest.call("projects", { body: { name } });
    return guest;
  },
  "GET video-jobs": async () => (await withVideos(2)).guest,
};

for (const { operation, name } of allOperations.filter(({ isPaged }) => isPaged)) {
  Deno.test(`${operation} goes on where its cursor says, and refuses limits and cursors that are none`, async () => {
    const make = withEntries[operation];
    assert(make, `Write into withEntries of tests/e2e/lists_test.ts who has two entries of ${operation}`);
    const made = await make();
    const [guest, query] = Array.isArray(made) ? [made[0], `${made[1]}&`] : [made, ""];
    const pages: Answer[] = [];
    for (let cursor = ""; pages.length < 100;) {
      const page = await guest.call(`${name}?${query}limit=1${cursor && `&cursor=${cursor}`}`);
      const { next_cursor } = bodyOf(page, 200, z.looseObject({ next_cursor: z.string().nullable() }));
      pages.push(page);
      if (next_cursor === null) break;
      cursor = next_cursor;
    }
    const texts = pages.map(({ body }) => JSON.stringify({ ...Object(body), next_cursor: null }));
    assert(pages.length >= 2 && pages.length < 100, `${pages.length} pages of one entry`);
    assert.equal(new Set(texts).size, pages.length, "a page is shown twice");
    const { next_cursor } = bodyOf(
      pages[0] ?? assert.fail(),
      200,
      z.looseObject({ next_cursor: z.string() }),
    );
    const refused = [["limit", "0"], ["limit", "101"], ["limit", "x"], ["limit", "1.5"]].concat(
      ["", "made-up", "e30", next_cursor.slice(0, -1), `${next_cursor}A`].map((cursor) => ["cursor", cursor]),
    );
    for (const [path, value] of refused) {
      const error = errorOf(await guest.call(`${name}?${query}${path}=${value}`), "ERR_4008");
      assert.partialDeepStrictEqual(error.details, { fields: [{ path }] }, `${path}=${value}`);
    }
  });
}

Deno.test("a cursor of another list or of nobody is refused, and somebody else's shows nothing of theirs", async () => {
  const { guest } = await withVideos(2);
  const { guest: stranger } = await withVideos(2);
  const { next_cursor: jobs } = jobsOf(await guest.call("video-jobs?limit=1"));
  const { next_cursor: credits } = creditsOf(await guest.call("credits?limit=1"));
  assert(jobs !== null && credits !== null);
  const place = (value: unknown) =>
    btoa(JSON.stringify(value)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const id = crypto.randomUUID();
  const refused = [
    `credits?cursor=${jobs}`,
    `video-jobs?cursor=${credits}`,
    `video-jobs?cursor=${jobs.slice(0, -1)}`,
    "video-jobs?cursor=",
    ...[1e300, -1, "infinity", null].map((number) => `credits?cursor=${place({ number })}`),
    ...["infinity", "0000-01-01T00:00:00Z", "2026-01-01T00:00:00+16:00", 1].map((created_at) =>
      `video-jobs?cursor=${place({ created_at, id })}`
    ),
  ];
  for (const path of refused) {
    const answer = await guest.call(path);
    assert.equal(answer.status, 400, path);
    const fields = z.array(z.object({ path: z.string() })).parse(errorOf(answer, "ERR_4008").details.fields);
    assert.deepEqual(fields.map(({ path }) => path), ["cursor"]);
  }
  // The edges of what is a place are places.
  for (const number of [1, Number.MAX_SAFE_INTEGER]) {
    creditsOf(await guest.call(`credits?cursor=${place({ number })}`));
  }
  for (const created_at of ["1000-01-01T00:00:00-14:59", "2999-12-31T23:59:59.999999+14:59"]) {
    jobsOf(await guest.call(`video-jobs?cursor=${place({ created_at, id })}`));
  }

  assert.equal(jobsOf(await guest.call(`video-jobs?limit=5&cursor=${jobs}`)).jobs.length, 1);
  const mine = new Set(jobsOf(await guest.call("video-jobs")).jobs.map(({ job_id }) => job_id));
  const theirs = jobsOf(await stranger.call(`video-jobs?cursor=${jobs}`)).jobs;
  assert(theirs.every(({ job_id }) => !mine.has(job_id)));
});

Deno.test("both lists count against `reads`", async () => {
  const guest = await backend.signIn();
  for (const path of ["video-jobs", "credits"]) {
    const { headers } = await guest.call(path);
    assert.equal(headers.get("ratelimit-policy"), '"reads";q=120;w=60');
  }
  await crowd(118, () => guest.call("credits"));
  for (const path of ["video-jobs", "credits"]) {
    const answer = await guest.call(path);
    assert.equal(answer.status, 429, path);
    assert.equal(errorOf(answer, "ERR_4004").details.policy, "reads");
  }
});
