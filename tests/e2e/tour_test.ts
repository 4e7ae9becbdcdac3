import assert from "node:assert/strict";
import * as z from "zod";
import { startStack } from "../../local/stack.ts";
import { fileURLToPath } from "node:url";
import { statusOf, writeStatus } from "../../local/served.ts";
import { patience } from "../../local/testing/patience.ts";
import { fences, readDocument } from "../contract/documents.ts";
import { cloneTemplate } from "../database/harness.ts";

const checked = z.object({ initial_grant: z.object({ status: z.literal("granted") }) });
const accepted = z.object({ job_id: z.uuid(), status: z.literal("pending") });
const purchase = z.object({ status: z.enum(["credited", "already_credited"]), credits_added: z.literal(10) });
const job = z.object({ job_id: z.uuid(), status: z.string() });

Deno.test("the tour in curl works as it is written", async () => {
  const tour = fences(await readDocument("docs/tour.md"), "sh").join("");
  await using cleanup = new AsyncDisposableStack();
  const directory = await Deno.makeTempDir();
  cleanup.defer(() => Deno.remove(directory, { recursive: true }));
  const database = cleanup.use(await cloneTemplate());
  const stack = cleanup.use(
    await startStack({
      databaseUrl: database.url,
      dataDirectory: directory,
      tickMilliseconds: 1_000,
      fal: { queueMilliseconds: 0, runMilliseconds: 0 },
    }),
  );
  await writeStatus(directory, stack);

  // `task status` and `task store` speak of the stack of `task dev`; here they speak of this one. Last, what a reader does by hand:
  // ask again until it is done.
  const script = `
    npx() { if [ "$4" = store ]; then "$DENO" run -A --no-check "$STORE" "--data=$DATA" "\${@:5}"; else echo "$STACK_STATUS"; fi; }
    ${tour}
    until kinora "video-status?job_id=$JOB" | grep '"status":"completed"'; do sleep 0.2; done`;
  const { success, stdout, stderr } = await new Deno.Command("bash", {
    args: ["-euo", "pipefail", "-c", script],
    env: {
      STACK_STATUS: JSON.stringify(statusOf(stack)),
      DENO: Deno.execPath(),
      STORE: fileURLToPath(new URL("../../local/store.ts", import.meta.url)),
      DATA: directory,
    },
    signal: AbortSignal.timeout(patience),
  }).output();
  const text = new TextDecoder().decode(stdout);
  assert.ok(success, text + new TextDecoder().decode(stderr));

  const [check, replay, status, bought, end, ...rest] = text.trim().split("\n").map((line): unknown =>
    JSON.parse(line)
  );
  assert.deepEqual(rest, []);
  checked.parse(check);
  const { job_id } = accepted.parse(replay);
  assert.equal(job.parse(status).job_id, job_id);
  purchase.parse(bought);
  assert.deepEqual(job.parse(end), { job_id, status: "completed" });
});
