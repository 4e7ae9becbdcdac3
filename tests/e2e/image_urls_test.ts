/** Pictures that users name by their addresses: fetched once, by us, and used as they were judged. */
import assert from "node:assert/strict";
import { AcceptedVideo } from "../../supabase/functions/_shared/videos/contract.ts";
import { GetUploadsResponse } from "../../supabase/functions/uploads/schema.ts";
import type { WebRule } from "../../local/simulators/web/web.ts";
import { shared } from "../shared.ts";
import { bodyOf } from "./support/answer.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { fixture, modelFromPicture } from "./support/uploads.ts";
import { ended, eventuallyDone, filesOf, submissionIs, submissionsOf } from "./support/videos.ts";

const backend = shared(startBackend);

/** A picture of its own name, so that tests do not meet each other's. */
async function animate(guest: Guest, { host = hostName(), prompt = `A fox ${crypto.randomUUID()}` } = {}) {
  const answer = await guest.call("generate-video", {
    body: {
      ...{ model_id: await modelFromPicture(backend), prompt },
      image_url: `https://${host}/fox.jpg?size=large`,
    },
    key: crypto.randomUUID(),
  });
  const jobId = bodyOf(answer, 202, AcceptedVideo).job_id;
  // The worker fetches it, which is due in two seconds.
  await backend.database.advance(2_500);
  await backend.stack.tick();
  return { host, prompt, jobId };
}

const hostName = () => `a${crypto.randomUUID().slice(0, 8)}.example.com`;

const rules = (...rules: WebRule[]) => backend.stack.simulators.web.control.rules(...rules);

async function asked(host: string) {
  const { requests, lookups } = await backend.stack.simulators.web.control.report();
  return {
    requests: requests.filter((request) => request.host === host),
    lookups: lookups.filter(({ name }) => name === host).map(({ type }) => type),
  };
}

const answerWith = async (host: string, name: string, headers = {}): Promise<WebRule> => ({
  ...{ effect: "answer", host, headers, body: (await fixture(name)).toBase64() },
});

/** How the job ends, in words; its credits are back where it failed. */
async function endOf(guest: Guest, jobId: string): Promise<string> {
  const { status, error, credits_used } = await ended(backend, guest, jobId);
  if (status === "failed") {
    assert.deepEqual([credits_used, await backend.balanceOf(guest)], [0, 1_000]);
    assert.deepEqual(await keptFiles(guest), []);
  }
  return [status, error?.code, error?.details.reason].filter(Boolean).join(" ");
}

/** Of the guest, but for videos. */
async function keptFiles(guest: Guest): Promise<string[]> {
  return (await filesOf(backend, guest)).filter((path) => /\.(?:jpg|png|webp)$/.test(path));
}

Deno.test("a picture that is another at its second look never reaches the provider: it got what was judged", async () => {
  const { fal, openAi, web } = backend.stack.simulators;
  await Promise.all([openAi.control.reset(), web.control.reset()]);
  const guest = await backend.signIn(1_000);
  const host = hostName();
  await rules(
    await answerWith(host, "phone.jpg"),
    { ...await answerWith(host, "gray.jpg"), times: null },
  );
  const { jobId, prompt } = await animate(guest, { host });
  assert.equal(await endOf(guest, jobId), "completed");

  const [sent] = submissionsOf(await fal.control.report(), prompt);
  const url = String(Object(sent?.body).image_url);
  assert.match(url, /\/storage\/v1\/object\/sign\/uploads\//);
  const { requests } = await openAi.control.report();
  assert.deepEqual(requests.map(({ body }) => Object(body).input), [[
    { type: "text", text: prompt },
    { type: "image_url", image_url: { url } },
  ]]);
  const content = new Uint8Array(await (await fetch(url)).arrayBuffer());
  const phone = await fixture("phone.jpg");
  assert(content.length < phone.length, "cleaned");
  assert(!new TextDecoder("latin1").decode(content).includes("GPS"));
  // The compressed pixels, which end the file.
  assert.deepEqual(content.slice(-500, -2), phoneScan(phone, content.slice(-500, -2)));

  const { requests: [request, ...others], lookups } = await asked(host);
  assert.deepEqual([others, lookups], [[], ["A", "AAAA"]], "fetched once, looked up once");
  assert.equal(request?.path, "/fox.jpg?size=large");
  assert.deepEqual(Object.keys(request?.headers ?? {}).sort(), [
    ...["accept", "accept-encoding", "connection", "host", "user-agent"],
  ]);
  await backend.proveLedger();
});

/** The same bytes in the phone's file, wherever they are; null where they are not. */
function phoneScan(file: Uint8Array, part: Uint8Array): Uint8Array | null {
  const at = new TextDecoder("latin1").decode(file).indexOf(new TextDecoder("latin1").decode(part));
  return at === -1 ? null : file.slice(at, at + part.length);
}

Deno.test("the copy is the job's: in no list and no quota, and gone when the job has ended", async () => {
  const guest = await backend.signIn(1_000);
  const { sql } = backend.database;
  const { fal } = backend.stack.simulators;
  const prompt = `Never ends ${crypto.randomUUID()}`;
  await fal.control.rules({ prompt, outcome: "never" });
  const { jobId } = await animate(guest, { prompt });
  await submissionIs(backend, jobId, "accepted");
  assert.equal((await keptFiles(guest)).length, 1);
  const list = bodyOf(await guest.call("uploads"), 200, GetUploadsResponse);
  assert.deepEqual(list.uploads, []);
  const [copy] = await sql<{ id: string; folder: string }[]>`
    select u.id, u.folder from videos.uploads as u where u.job_id = ${jobId}`;
  assert(copy);
  for (
    const [method, path, body] of [
      ["DELETE", `uploads?upload_id=${copy.id}`, undefined],
      ["PATCH", "uploads", { upload_id: copy.id, status: "completed" }],
    ] as const
  ) {
    assert.equal((await guest.call(path, { method, ...(body && { body }) })).status, 404, method);
  }
  const again = await guest.call("generate-video", {
    body: { model_id: await modelFromPicture(backend), prompt, image_upload_id: copy.id },
    key: crypto.randomUUID(),
  });
  assert.equal(again.status, 404, "no other video is made from it");
  const counted = await guest.call("uploads", { body: { content_type: "image/jpeg", bytes: 1_000 } });
  assert.equal(counted.status, 201);

  // Beyond the bound of its start, the job still runs.
  await sql`update videos.jobs set due_at = due_at + interval '1 hour' where id = ${jobId}`;
  await backend.database.advance(21 * 60_000);
  await eventuallyDone(backend, "it was looked at", async () => {
    const [task] = await sql`
      select from queue.tasks where kind = 'tidy_upload' and subject = ${copy.id} and attempts > 0`;
    return task;
  }, 500);
  assert.equal((await keptFiles(guest)).length, 1);

  await guest.call("cancel-video", { body: { job_id: jobId } });
  assert.equal((await ended(backend, guest, jobId)).status, "cancelled");
  await backend.database.advance(2 * 3_600_000);
  await eventuallyDone(backend, "nothing is left of it", async () => {
    const rows = await sql`select from videos.uploads where id = ${copy.id}`;
    return rows.length + (await keptFiles(guest)).length === 0 || undefined;
  }, 500);
});

Deno.test("what an address leads to is refused by its reason, and the credits come back", async () => {
  const bad: [string, (host: string) => Promise<WebRule> | WebRule][] = [
    ["missing", (host) => ({ effect: "answer", host, status: 404 })],
    ["missing", (host) => ({ effect: "redirect", host, location: "http://b.example.com/fox.jpg" })],
    ["missing", (host) => ({ effect: "redirect", host, location: `https://${host}/`, times: null })],
    ["missing", (host) => ({ effect: "redirect", host, location: "https://169.254.169.254/latest" })],
    ["missing", (host) => ({ effect: "redirect", host, location: "https://127.0.0.1/" })],
    ["not_an_image", (host) => ({ effect: "answer", host, body: btoa("<svg/>") })],
    ["not_an_image", (host) => ({ effect: "answer", host, body: "" })],
    ["wrong_type", (host) => answerWith(host, "cmyk.jpg", { "content-type": "image/png" })],
    ["wrong_type", (host) => answerWith(host, "animated.webp")],
    ["wrong_type", (host) => answerWith(host, "still.gif")],
    ["wrong_size", (host) => answerWith(host, "narrow.png")],
    ["too_large", (host) => ({ effect: "huge", host, bytes: 5 * 1024 ** 3 })],
    ["too_large", (host) => ({ effect: "huge", host, bytes: 5 * 1024 ** 3, tells: false })],
  ];
  const prompts: string[] = [];
  for (const [reason, rule] of bad) {
    const caller = await backend.signIn(1_000);
    const host = hostName();
    await rules(await rule(host));
    const { jobId, prompt } = await animate(caller, { host });
    assert.equal(await endOf(caller, jobId), `failed ERR_4019 ${reason}`, JSON.stringify(await rule(host)));
    prompts.push(prompt);
  }
  const report = await backend.stack.simulators.fal.control.report();
  for (const prompt of prompts) assert.deepEqual(submissionsOf(report, prompt), []);
  await backend.proveLedger();
});

Deno.test("no name leads to an address that is not public, whenever it says so", async () => {
  const guest = await backend.signIn(1_000);
  const { stack: { simulators: { web } } } = backend;
  const lists = [
    ["10.0.0.1"],
    ["127.0.0.1"],
    ["100.64.0.1"],
    ["169.254.169.254"],
    ["93.184.215.14", "192.168.0.1"],
    ["93.184.215.14", "::1"],
    ["::ffff:127.0.0.1"],
    ["64:ff9b::7f00:1"],
  ];
  for (const addresses of lists) {
    await web.control.reset();
    const host = hostName();
    await rules({ effect: "addresses", name: host, addresses, times: null });
    const { jobId } = await animate(guest, { host });
    assert.equal(await endOf(guest, jobId), "failed ERR_4019 missing", String(addresses));
    assert.deepEqual((await asked(host)).requests, [], "nobody was asked");
  }
  const other = await backend.signIn(1_000);
  // The name is another machine's by the time that somebody connects: that address was never asked for.
  const [host, target] = [hostName(), hostName()];
  await rules(
    { effect: "addresses", name: host, addresses: ["93.184.215.14"], times: 2 },
    { effect: "addresses", name: host, addresses: ["127.0.0.1"], times: null },
  );
  const { jobId } = await animate(other, { host });
  assert.equal(await endOf(other, jobId), "completed");
  assert.deepEqual((await asked(host)).lookups, ["A", "AAAA"]);
  // What it redirects to is looked up like itself.
  const from = hostName();
  await rules(
    { effect: "redirect", host: from, location: `https://${target}/` },
    { effect: "addresses", name: target, addresses: ["10.0.0.1"], times: null },
  );
  const redirected = await animate(other, { host: from });
  await ended(backend, other, redirected.jobId);
  assert.deepEqual([(await asked(from)).requests.length, (await asked(target)).requests], [1, []]);
});

Deno.test("a host that is away or slow is asked again, and after two minutes there is no picture", async () => {
  const [guest, other] = [await backend.signIn(1_000), await backend.signIn(1_000)];
  const effects = [{ effect: "answer", status: 503 }, { effect: "down" }] as const;
  for (const effect of effects) {
    const host = hostName();
    await rules({ ...effect, host });
    const { jobId } = await animate(guest, { host });
    await eventuallyDone(backend, "it was asked", async () => (await asked(host)).requests[0], Infinity);
    await backend.database.advance(30_000);
    assert.equal(await endOf(guest, jobId), "completed", effect.effect);
    assert.equal((await asked(host)).requests.length, 2);
  }
  const host = hostName();
  await rules({ effect: "answer", status: 429, host, times: null });
  const { jobId } = await animate(other, { host });
  await eventuallyDone(backend, "it was asked", async () => (await asked(host)).requests[0], Infinity);
  await eventuallyDone(backend, "the task waits", async () => {
    const [task] = await backend.database.sql`
      select from queue.tasks where subject = ${jobId} and kind = 'submit' and last_error like '%429%'`;
    return task;
  }, Infinity);
  await backend.database.advance(125_000);
  assert.equal(await endOf(other, jobId), "failed ERR_4019 missing");
});

Deno.test("a body that comes a byte at a time is given up, and so is a host that says nothing", async () => {
  for (const effect of ["slow", "silent"] as const) {
    const guest = await backend.signIn(1_000);
    const host = hostName();
    await rules({ effect, host, times: null });
    const { jobId } = await animate(guest, { host });
    await eventuallyDone(backend, "it is given up", async () => {
      const [task] = await backend.database.sql`
        select from queue.tasks where subject = ${jobId} and last_error = 'no answer in time'`;
      return task;
    }, Infinity);
    assert.equal((await asked(host)).requests.length, 1);
    const cancelled = await guest.call("cancel-video", { body: { job_id: jobId } });
    assert.equal(cancelled.status, 200, "it waits, and may be cancelled");
    assert.equal(await backend.balanceOf(guest), 1_000);
  }
});

Deno.test("a closed account's copies are erased", async () => {
  const guest = await backend.signIn(1_000);
  const { jobId } = await animate(guest);
  assert.equal(await endOf(guest, jobId), "completed");
  assert.equal((await keptFiles(guest)).length, 1);
  assert.equal((await guest.call("user-profile", { method: "DELETE" })).status, 202);
  await backend.database.advance(2.2 * 3_600_000);
  await eventuallyDone(backend, "the account is erased", async () => {
    const [erasure] = await backend.database.sql`select from accounts.erasures where user_id = ${guest.id}`;
    return erasure;
  }, 500);
  assert.deepEqual(await filesOf(backend, guest).catch(() => []), []);
  const rows = await backend.database.sql`select from videos.uploads where owner_id = ${guest.id}`;
  assert.equal(rows.length, 0);
});
