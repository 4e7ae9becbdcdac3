import assert from "node:assert/strict";
import { peakMemory } from "../../local/process.ts";
import { startBackend } from "./support/backend.ts";
import { ended, generate, priceOfKling } from "./support/videos.ts";

const megabyte = 1024 * 1024;
/** What the platform gives to a function; Deno alone takes a third of it. */
const memoryLimit = 256 * megabyte;

Deno.test("a video of 200 MB is stored within the memory that the platform gives", async () => {
  await using backend = await startBackend();
  const { functions, simulators } = backend.stack;
  const bytes = 200 * megabyte;
  await simulators.fal.control.rules({ media: "padded", mediaBytes: bytes });
  const guest = await backend.signIn(priceOfKling);
  const { job_id: jobId } = await generate(guest);
  assert.equal((await ended(backend, guest, jobId)).status, "completed");

  const [asset] = await backend.database.sql<{ bytes: number; duration: number }[]>`
    select bytes::int, duration_milliseconds as duration from videos.assets where job_id = ${jobId} and kind = 'video'`;
  assert.deepEqual({ ...asset }, { bytes, duration: 4_000 });
  const peak = peakMemory(functions.pid ?? 0) ?? assert.fail("the functions do not run");
  assert(peak < memoryLimit, `the functions took ${Math.round(peak / megabyte)} MB`);
});
