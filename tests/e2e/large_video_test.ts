import assert from "node:assert/strict";
import { maxVideoBytes } from "../../supabase/functions/_shared/videos/store.ts";
import { mainThreadSeconds, peakMemory } from "../../local/processes/process-usage.ts";
import { startBackend } from "./support/backend.ts";
import { ended, generate, priceOfKling } from "./support/videos.ts";

const megabyte = 1024 * 1024;
/** What the platform gives to a function; Deno alone takes a third of it. */
const memoryLimit = 256 * megabyte;

/** Seconds that the platform gives to an isolate: of its thread (docs/decisions/0028-a-stored-file-is-not-hashed.md). */
const cpuLimit = 2;

/** What the collector does not come to, on a machine that is busy with other tests, is not needed: one of so many shows it. */
const processes = 3;

const name = "the largest video is stored within the memory and the CPU time that the platform gives";
// Only Linux tells what a process has used.
Deno.test(name, { ignore: Deno.build.os !== "linux" }, async () => {
  await using backend = await startBackend();
  const { functions, simulators } = backend.stack;
  const bytes = maxVideoBytes;
  const guest = await backend.signIn(processes * priceOfKling);
  const needed = { cpu: Infinity, peak: Infinity };
  for (let process = 1; process <= processes; process++) {
    if (process > 1) {
      await functions.kill();
      await functions.start();
    }
    await simulators.fal.control.rules({ media: "padded", mediaBytes: bytes });
    const { job_id: jobId } = await generate(guest);
    assert.equal((await ended(backend, guest, jobId)).status, "completed");

    const [asset] = await backend.database.sql<{ bytes: number; duration: number }[]>`
      select bytes::int, duration_milliseconds as duration from videos.assets where job_id = ${jobId} and kind = 'video'`;
    assert.deepEqual({ ...asset }, { bytes, duration: 5_000 });
    const pid = functions.pid ?? assert.fail("the functions do not run");
    needed.cpu = Math.min(needed.cpu, mainThreadSeconds(pid) ?? NaN);
    needed.peak = Math.min(needed.peak, peakMemory(pid) ?? NaN);
    if (needed.cpu < cpuLimit && needed.peak < memoryLimit) break;
  }
  assert(needed.cpu < cpuLimit, `the functions took ${needed.cpu} s of CPU time`);
  assert(needed.peak < memoryLimit, `the functions took ${Math.round(needed.peak / megabyte)} MB`);
});
