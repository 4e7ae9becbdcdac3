/** What a day at fal counts, by how fal's generations end over HTTP; and that who pays is counted nowhere else. */
import assert from "node:assert/strict";
import type { FalRule } from "../../local/simulators/fal/fal.ts";
import { startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import { ended, eventuallyDone, generate, priceOfKling, submissionIs } from "./support/videos.ts";

const backend = shared(startBackend);

Deno.test.afterEach(() => backend.proveLedger());

/** US cents, of the model that `generate` asks for. */
const cost = 35;

async function spent(): Promise<number> {
  const [day] = await backend.database.sql<{ cents: number }[]>`
    select coalesce(sum(cents), 0)::int as cents from videos.spending`;
  return day?.cents ?? 0;
}

const cases: [name: string, rule: FalRule, counted: number, unpaid: number, isCancelled?: true][] = [
  ["a video", {}, cost, 0],
  ["a prompt that fal refuses at once", { submit: "content_policy" }, 0, 1],
  ["an input that fal refuses at once", { submit: "refused" }, 0, 1],
  ["a runner that fails", { outcome: "failed" }, 0, 1],
  ["a job that is cancelled in fal's queue", { queueMilliseconds: 600_000 }, 0, 1, true],
  ["a job that is cancelled while it runs", { outcome: "never" }, 0, 1, true],
  // The runner has worked until then.
  ["a prompt that the model refuses", { outcome: "content_policy" }, cost, 1],
  ["an output without a video", { outcome: "result_missing" }, cost, 1],
];

for (const [name, rule, counted, unpaid, isCancelled] of cases) {
  Deno.test(`${name} counts ${counted} cents of the day, and ${unpaid} of the user's unpaid jobs`, async () => {
    const { control } = backend.stack.simulators.fal;
    await control.reset();
    await control.rules(rule);
    const before = await spent();
    const guest = await backend.signIn(priceOfKling);
    const { job_id: jobId } = await generate(guest);
    if (isCancelled) {
      await submissionIs(backend, jobId, "accepted");
      assert.equal(await spent(), before + cost, "while it goes on");
      await guest.call("cancel-video", { body: { job_id: jobId } });
    }
    await ended(backend, guest, jobId);
    await eventuallyDone(
      backend,
      "the cost is settled",
      async () => await spent() === before + counted || undefined,
    );
    const [hits] = await backend.database.sql<{ unpaid: number }[]>`
      select cardinality(h.hits) as unpaid from guard.hits as h where h.policy = 'uncaptured_jobs' and h.subject = ${guest.id}`;
    // The sweep removes a row without hits.
    assert.equal(hits?.unpaid ?? 0, unpaid);
    assert.equal(await backend.balanceOf(guest), unpaid === 0 ? 0 : priceOfKling);
  });
}
