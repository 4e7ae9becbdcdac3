/** What an app calls its own jobs, and what a job says of its cancellation. */
import assert from "node:assert/strict";
import * as z from "zod";
import { Job } from "../../supabase/functions/_shared/videos/contract.ts";
import { bodyOf, errorOf } from "./support/answer.ts";
import { type Backend, type Guest, startBackend } from "./support/backend.ts";
import { ended, generate, kling, submissionIs, videoStatus } from "./support/videos.ts";

let backend: Backend;

Deno.test.beforeAll(async () => {
  backend = await startBackend();
});
Deno.test.afterAll(() => backend[Symbol.asyncDispose]());

const Accepted = z.object({ job_id: z.string() });
const Page = z.object({
  jobs: z.array(z.looseObject({ job_id: z.string(), client_reference: z.string().nullable() })),
});

async function generateAs(guest: Guest, client_reference: unknown, key: string = crypto.randomUUID()) {
  const body = { model_id: kling, prompt: "A fox", client_reference };
  return await guest.call("generate-video", { body, key });
}

async function find(guest: Guest, reference: string): Promise<string[]> {
  const query = new URLSearchParams({ client_reference: reference });
  return bodyOf(await guest.call(`video-jobs?${query}`), 200, Page).jobs.map(({ job_id }) => job_id);
}

Deno.test("a reference is kept with its job, shown in it, and found, by its user alone", async () => {
  const [guest, other] = await Promise.all([backend.signIn(100), backend.signIn(100)]);
  const references = ["draft-7", "draft-7", "x", '~!"#', "çizim-7", "🦊", "e\u0301", "x".repeat(100)];
  const jobs: [string, string][] = [];
  for (const reference of references) {
    const { job_id } = bodyOf(await generateAs(guest, reference), 202, Accepted);
    jobs.push([reference.normalize("NFC"), job_id]);
    assert.equal((await videoStatus(guest, job_id)).client_reference, reference.normalize("NFC"));
  }
  const plain = await generate(guest);
  assert.equal((await videoStatus(guest, plain.job_id)).client_reference, null);
  bodyOf(await generateAs(other, "draft-7"), 202, Accepted);

  for (const reference of new Set(references)) {
    const expected = jobs.filter(([name]) => name === reference.normalize("NFC")).map(([, id]) => id);
    assert.deepEqual(await find(guest, reference), expected.toReversed(), reference);
  }
  assert.deepEqual(await find(guest, "Draft-7"), []);
  const pages: string[] = [];
  for (let cursor = ""; pages.length < 3;) {
    const page = bodyOf(
      await guest.call(`video-jobs?client_reference=draft-7&limit=1${cursor}`),
      200,
      Page.extend({ next_cursor: z.string().nullable() }),
    );
    pages.push(...page.jobs.map(({ job_id }) => job_id));
    if (page.next_cursor === null) break;
    cursor = `&cursor=${page.next_cursor}`;
  }
  assert.deepEqual(pages, jobs.slice(0, 2).map(([, id]) => id).toReversed());
});

Deno.test("a reference that cannot be seen, or is too long, is none; null and nothing are the same request", async () => {
  const guest = await backend.signIn(100);
  for (const reference of ["", " ", "a b", "a\n", "a\u200b", "\u202ea", "x".repeat(101), 7, [], "\ud800"]) {
    errorOf(await generateAs(guest, reference), "ERR_4008");
    if (typeof reference === "string") {
      const query = new URLSearchParams({ client_reference: reference.toWellFormed() });
      if (reference.isWellFormed()) errorOf(await guest.call(`video-jobs?${query}`), "ERR_4008");
    }
  }
  const key = crypto.randomUUID();
  const first = bodyOf(await generateAs(guest, undefined, key), 202, Accepted);
  assert.equal(bodyOf(await generateAs(guest, null, key), 202, Accepted).job_id, first.job_id);
  errorOf(await generateAs(guest, "another", key), "ERR_4011");
});

Deno.test("a job tells since when its cancellation was asked for, whatever became of it", async () => {
  const guest = await backend.signIn(100);
  await backend.stack.simulators.fal.control.rules({ prompt: "never", outcome: "never" });
  const { job_id } = await generate(guest, "never");
  await submissionIs(backend, job_id, "accepted");
  assert.equal((await videoStatus(guest, job_id)).cancel_requested_at, null);
  const asked = bodyOf(
    await guest.call("cancel-video", { body: { job_id } }),
    202,
    z.looseObject({
      cancel_requested_at: z.iso.datetime({ precision: 3 }),
    }),
  );
  const again = await guest.call("cancel-video", { body: { job_id } });
  const { cancel_requested_at } = z.object({ cancel_requested_at: z.string() }).parse(again.body);
  assert.equal(cancel_requested_at, asked.cancel_requested_at);
  const job = await ended(backend, guest, job_id);
  assert.equal(job.cancel_requested_at, asked.cancel_requested_at);
  assert.equal(Job.safeParse(job).success, true);
});
