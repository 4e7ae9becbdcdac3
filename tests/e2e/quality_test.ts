/** What a provider delivers is compared with what was ordered, on its whole way into storage. */
import assert from "node:assert/strict";
import type { FalRule } from "../../local/simulators/fal/fal.ts";
import { startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import { ended, eventuallyDone, generate, kling, priceOfKling } from "./support/videos.ts";

const quick = { queueMilliseconds: 0, runMilliseconds: 0 };
const backend = shared(() => startBackend({ fal: quick, replicate: quick }));

type Says = NonNullable<FalRule["says"]>;

/** A video whose file says so; ordered are 5 s of 16:9 in 1080p. */
async function make(says: Says, provider: "fal" | "replicate" = "fal") {
  await backend.stack.simulators[provider].control.rules({ says });
  const guest = await backend.signIn(priceOfKling);
  const { job_id: jobId } = await generate(guest);
  return { guest, jobId, job: await ended(backend, guest, jobId) };
}

/** For each bound what is still taken, and what is not any more. */
const bounds: [kept: Says, refused: Says, named: Record<string, unknown>][] = [
  [{ seconds: 4.5 }, { seconds: 4.499 }, { duration_milliseconds: 4499 }],
  [{ seconds: 5.5 }, { seconds: 5.501 }, { duration_milliseconds: 5501 }],
  [{ width: 1824, height: 1080 }, { width: 1823, height: 1080 }, { aspect_ratio: "1823:1080" }],
  [{ width: 2016, height: 1080 }, { width: 2017, height: 1080 }, { aspect_ratio: "2017:1080" }],
  [{ width: 1824, height: 1026 }, { width: 1822, height: 1025 }, { resolution: "1025p" }],
  [{ codec: "hvc1" }, { codec: "av01" }, { codec: "av01" }],
  [{ frames: 25 }, { frames: 24 }, { frames: 24 }],
];

for (const [kept, refused, named] of bounds) {
  Deno.test(`a video of ${JSON.stringify(kept)} is paid for, one of ${JSON.stringify(refused)} is not`, async () => {
    const good = await make(kept);
    assert.deepEqual([good.job.status, good.job.error], ["completed", null]);
    assert.equal(await backend.balanceOf(good.guest), 0);

    const { guest, jobId, job } = await make(refused);
    assert.equal(job.status, "failed");
    assert.partialDeepStrictEqual(job.error, { code: "ERR_5003", details: { reason: "invalid_result" } });
    assert.deepEqual([job.credits_used, await backend.balanceOf(guest)], [0, priceOfKling]);
    const { sql } = backend.database;
    const [submission] = await sql`
      select s.cause, s.counted_on is not null as is_counted from videos.submissions as s where s.job_id = ${jobId}`;
    assert.deepEqual({ ...submission }, {
      cause: `not what was ordered: ${JSON.stringify(named).replace(":", ": ")}`,
      is_counted: true,
    });
    await eventuallyDone(backend, "what was stored of it is removed", async () => {
      const left =
        await sql`select from storage.objects where bucket_id = 'videos' and name like ${`%${jobId}%`}`;
      return left.length === 0 || undefined;
    });
  });
}

Deno.test("each provider is held to the order, and may make what providers make", async () => {
  const { sql } = backend.database;
  await sql`
    insert into videos.model_providers (model_id, preference, provider, provider_model, cost_cents)
    values (${kling}, 9, 'replicate', 'kwaivgi/kling-v2.5-turbo-pro', 35)`;
  await sql`update videos.providers set is_enabled = name = 'replicate'`;
  try {
    assert.equal((await make({ seconds: 5.04, height: 1088 }, "replicate")).job.status, "completed");
    assert.equal((await make({ width: 854, height: 480 }, "replicate")).job.error?.code, "ERR_5003");
  } finally {
    await sql`update videos.providers set is_enabled = true`;
    await sql`delete from videos.model_providers where model_id = ${kling} and provider = 'replicate'`;
  }
  await backend.proveLedger();
});
