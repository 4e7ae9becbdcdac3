import assert from "node:assert/strict";
import { maxVideoBytes } from "../../supabase/functions/_shared/videos/store.ts";
import { forgetPeakMemory, mainThreadSeconds, peakMemory } from "../../local/processes/process-usage.ts";
import { startBackend } from "./support/backend.ts";
import { ended, generate, priceOfKling } from "./support/videos.ts";

const megabyte = 1024 * 1024;
/**
 * Half of the 256 MB that the platform gives to a function. Deno 2.1 and process-jobs, alone in a process, take 86 MB of the other half. A
 * video that is held as a whole takes more.
 */
const memoryLimit = 128 * megabyte;

/**
 * Half of the seconds that the platform gives to an isolate, of its thread: one that still gets a request has as many left
 * (docs/decisions/0028-a-stored-file-is-not-hashed.md). To load process-jobs takes 0.2 s of the other half.
 */
const cpuLimit = 1;

/** What the collector does not come to, on a machine that is busy with other tests, is not needed: one of so many shows it. */
const processes = 3;

const name = "the largest video is stored within the memory and the CPU time that the platform gives";
// Only Linux tells what a process has used.
Deno.test(name, { ignore: Deno.build.os !== "linux" }, async () => {
  await using backend = await startBackend();
  const { functions, simulators } = backend.stack;
  const guest = await backend.signIn(2 * processes * priceOfKling);

  async function store(bytes: number): Promise<void> {
    await simulators.fal.control.rules({ media: "padded", mediaBytes: bytes });
    const { job_id: jobId } = await generate(guest);
    assert.equal((await ended(backend, guest, jobId)).status, "completed");
    const [asset] = await backend.database.sql<{ bytes: number; duration: number }[]>`
      select bytes::int, duration_milliseconds as duration from videos.assets where job_id = ${jobId} and kind = 'video'`;
    assert.deepEqual({ ...asset }, { bytes, duration: 5_000 });
  }

  const needed = { cpu: Infinity, memory: Infinity };
  for (let process = 1; process <= processes; process++) {
    if (process > 1) {
      await functions.kill();
      await functions.start();
    }
    const pid = functions.pid ?? assert.fail("the functions do not run");
    const used = () => ({ cpu: mainThreadSeconds(pid) ?? NaN, memory: peakMemory(pid) ?? NaN });
    // All functions are loaded and warm then. Here they share a process, as on the platform they do not: what counts is what is added.
    await store(megabyte);
    forgetPeakMemory(pid);
    const before = used();
    await store(maxVideoBytes);
    const after = used();
    needed.cpu = Math.min(needed.cpu, after.cpu - before.cpu);
    needed.memory = Math.min(needed.memory, after.memory - before.memory);
    if (needed.cpu < cpuLimit && needed.memory < memoryLimit) break;
  }
  assert(needed.cpu < cpuLimit, `storing took ${needed.cpu} s of CPU time`);
  assert(needed.memory < memoryLimit, `storing took ${Math.round(needed.memory / megabyte)} MB`);
});
