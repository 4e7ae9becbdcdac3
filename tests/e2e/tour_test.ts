import assert from "node:assert/strict";
import * as z from "zod";
import { startStack } from "../../local/stack.ts";
import { statusOf } from "../../local/served.ts";
import { patience } from "../../local/testing/patience.ts";
import { fences, readDocument } from "../contract/documents.ts";
import { cloneTemplate } from "../database/harness.ts";

const checked = z.object({ initial_grant: z.object({ status: z.literal("granted") }) });
const accepted = z.object({ job_id: z.uuid(), status: z.literal("pending") });
const job = z.object({ job_id: z.uuid(), status: z.string() });

Deno.test("the tour in curl works as it is written", async () => {
  const tour = fences(await readDocument("docs/tour.md"), "sh").join("");
  await using database = await cloneTemplate();
  await using stack = await startStack({
    databaseUrl: database.url,
    tickMilliseconds: 1_000,
    fal: { queueMilliseconds: 0, runMilliseconds: 0 },
  });

  // `task status` speaks of the stack of `task dev`; here it speaks of this one. Last, what a reader does by hand:
  // ask again until it is done.
  const script = `
    npx() { echo "$STACK_STATUS"; }
    ${tour}
    until kinora "video-status?job_id=$JOB" | grep '"status":"completed"'; do sleep 0.2; done`;
  const { success, stdout, stderr } = await new Deno.Command("bash", {
    args: ["-euo", "pipefail", "-c", script],
    env: { STACK_STATUS: JSON.stringify(statusOf(stack)) },
    signal: AbortSignal.timeout(patience),
  }).output();
  const text = new TextDecoder().decode(stdout);
  assert.ok(success, text + new TextDecoder().decode(stderr));

  const [check, replay, status, end, ...rest] = text.trim().split("\n").map((line): unknown =>
    JSON.parse(line)
  );
  assert.deepEqual(rest, []);
  checked.parse(check);
  const { job_id } = accepted.parse(replay);
  assert.equal(job.parse(status).job_id, job_id);
  assert.deepEqual(job.parse(end), { job_id, status: "completed" });
});
