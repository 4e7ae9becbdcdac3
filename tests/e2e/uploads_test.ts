/** Pictures that users bring, from the phone's file to the copy that is used, through supabase-js and Storage. */
import assert from "node:assert/strict";
import { AcceptedVideo, Upload } from "../../supabase/functions/_shared/videos/contract.ts";
import { GetUploadsResponse } from "../../supabase/functions/uploads/schema.ts";
import * as z from "zod";
import { shared } from "../shared.ts";
import { assertError, bodyOf } from "./support/answer.ts";
import { type Guest, newClient, startBackend } from "./support/backend.ts";
import { createCustomer, letTimePass, present, untilTold } from "./support/shop.ts";
import {
  beginUpload,
  bringUpload,
  completeUpload,
  fixture,
  modelFromPicture,
  sendFile,
} from "./support/uploads.ts";
import { ended, eventuallyDone, filesOf, kling, submissionIs, submissionsOf } from "./support/videos.ts";

const backend = shared(startBackend);

const jpeg = "image/jpeg";
const hours = 3_600_000;

const remove = (guest: Guest, uploadId: string) =>
  guest.call(`uploads?upload_id=${uploadId}`, { method: "DELETE" });

async function list(guest: Guest, query = "") {
  return bodyOf(await guest.call(`uploads${query}`), 200, GetUploadsResponse);
}

async function filesEventually(guest: Guest, count: number): Promise<string[]> {
  return await eventuallyDone(backend, `there are ${count} files`, async () => {
    const files = await filesOf(backend, guest);
    return files.length === count ? files : undefined;
  }, 500);
}

Deno.test("a phone's photo is uploaded, completed and clean: its place is nowhere in storage", async () => {
  const guest = await backend.signIn();
  const upload = await bringUpload(guest);
  assert.deepEqual([upload.status, upload.content_type, upload.width, upload.height], [
    "ready",
    jpeg,
    72,
    96,
  ]);
  const [path = ""] = await filesEventually(guest, 1);
  assert(!path.endsWith("incoming"));
  const { url, secretKey } = backend.stack;
  const { data } = await newClient({ url, publishableKey: secretKey }).storage.from("uploads").download(path);
  assert(data);
  const content = new Uint8Array(await data.arrayBuffer());
  assert.equal(content.length, upload.bytes);
  assert(!new TextDecoder("latin1").decode(content).includes("GPS"));
  assert.deepEqual((await list(guest)).uploads, [upload]);
  assert.deepEqual(
    bodyOf(await completeUpload(guest, upload.upload_id), 200, Upload),
    upload,
    "a second call answers the same",
  );
});

Deno.test("what cannot be used is refused with its reason, and another file may be sent to the same URL", async () => {
  const guest = await backend.signIn();
  const file = await fixture("baseline.jpg");
  const { upload_id, upload_url } = await beginUpload(guest, file.length);
  const refusal = async () => {
    const { code, details } = assertError(
      await completeUpload(guest, upload_id),
      "ERR_4019",
      "a file of no use",
    );
    return [code, details.reason];
  };
  assert.deepEqual(await refusal(), ["ERR_4019", "missing"]);
  const files: [string, Uint8Array<ArrayBuffer>][] = [
    ["not_an_image", new TextEncoder().encode("<svg/>")],
    ["not_an_image", file.slice(0, -2)],
    ["wrong_type", await fixture("cmyk.jpg")],
    ["wrong_type", await fixture("lossy.webp")],
    ["wrong_size", await fixture("narrow.png")],
    ["too_large", await fixture("phone.jpg")],
  ];
  for (const [reason, content] of files) {
    assert.equal((await sendFile(guest, { upload_url }, content)).error, null);
    assert.deepEqual(await refusal(), ["ERR_4019", reason]);
  }
  assert.notEqual(
    (await sendFile(guest, { upload_url }, file, "text/html")).error,
    null,
    "the bucket takes three types",
  );
  assert.equal((await sendFile(guest, { upload_url }, file)).error, null);
  bodyOf(await completeUpload(guest, upload_id), 200, Upload);
});

Deno.test("what is written to the URL after the completion changes nothing, and does not stay", async () => {
  const guest = await backend.signIn();
  const file = await fixture("baseline.jpg");
  const { upload_id, upload_url } = await beginUpload(guest, 10_000);
  await sendFile(guest, { upload_url }, file);
  const upload = bodyOf(await completeUpload(guest, upload_id), 200, Upload);
  const [path] = await filesEventually(guest, 1);
  assert.equal((await sendFile(guest, { upload_url }, await fixture("gray.jpg"))).error, null);
  assert.deepEqual(bodyOf(await completeUpload(guest, upload_id), 200, Upload), upload);
  await filesEventually(guest, 2);
  await backend.database.advance(2.2 * hours);
  assert.deepEqual(await filesEventually(guest, 1), [path]);
  assert.deepEqual((await list(guest)).uploads, [upload]);
});

Deno.test("an upload that is completed by several at once is ready once, whatever each of them found", async () => {
  const guest = await backend.signIn();
  const { upload_id, upload_url } = await beginUpload(guest, 10_000);
  const names = ["baseline.jpg", "gray.jpg", "phone.jpg", "progressive.jpg"];
  await sendFile(guest, { upload_url }, await fixture("baseline.jpg"));
  const answers = await Promise.all(names.map(async (name) => {
    await sendFile(guest, { upload_url }, await fixture(name));
    return await completeUpload(guest, upload_id);
  }));
  const uploads = answers.filter(({ status }) => status === 200).map((answer) => bodyOf(answer, 200, Upload));
  assert(uploads.length > 0);
  for (const upload of uploads) assert.deepEqual(upload, uploads[0]);
  await backend.database.advance(2.2 * hours);
  const [path = ""] = await filesEventually(guest, 1);
  const [object] = await backend.database.sql<{ bytes: number }[]>`
    select (o.metadata ->> 'size')::int as bytes from storage.objects as o where o.name = ${path}`;
  assert.equal(object?.bytes, uploads[0]?.bytes, "what is told is what is kept");
});

Deno.test("three uploads may be pending, exactly, under twenty requests at once", async () => {
  const guest = await backend.signIn();
  await list(guest);
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => guest.call("uploads", { body: { content_type: jpeg, bytes: 1000 } })),
  );
  const statuses = answers.map(({ status }) => status);
  assert.deepEqual([201, 409].map((status) => statuses.filter((each) => each === status).length), [3, 17]);
  const refused = answers.find(({ status }) => status === 409) ?? assert.fail();
  assert.deepEqual(assertError(refused, "ERR_4009", "a fourth").details, { status: "pending" });
  const { uploads } = await list(guest);
  assert.deepEqual(uploads.map(({ status, width }) => [status, width]), Array(3).fill(["pending", null]));
  assert.equal((await remove(guest, uploads[0]?.upload_id ?? "")).status, 204);
  await beginUpload(guest, 1000);
  await backend.database.advance(2 * hours);
  assert.deepEqual((await list(guest)).uploads, [], "what was not completed is over with its URL");
  await beginUpload(guest, 1000);
});

Deno.test("the quota of a tier is exact under twenty requests at once, and says how much is used", async () => {
  const { sql } = backend.database;
  const guest = await backend.signIn();
  await list(guest);
  await sql`update videos.tiers set storage_bytes = 25000, pending_uploads = 20 where tier = 'guest'`;
  try {
    const answers = await Promise.all(
      Array.from(
        { length: 20 },
        () => guest.call("uploads", { body: { content_type: jpeg, bytes: 10_000 } }),
      ),
    );
    assert.equal(answers.filter(({ status }) => status === 201).length, 2);
    const refused = answers.find(({ status }) => status === 409) ?? assert.fail();
    assert.deepEqual(assertError(refused, "ERR_4020", "more than fits").details, {
      used_bytes: 20_000,
      quota_bytes: 25_000,
    });
    await beginUpload(guest, 5_000);
    const { uploads: [newest] } = await list(guest);
    assert(newest);
    await remove(guest, newest.upload_id);
    await beginUpload(guest, 5_000);
  } finally {
    await sql`update videos.tiers set storage_bytes = 100000000, pending_uploads = 3 where tier = 'guest'`;
  }
});

Deno.test("the quota follows the user: guest, member, and subscriber as long as the subscription lasts", async () => {
  const { sql } = backend.database;
  await sql`
    insert into purchases.products (product_id, kind, name, description, credits)
    values ('level_1', 'subscription', 'Level 1', '', 100) on conflict do nothing`;
  await sql`update videos.tiers set storage_bytes = case tier when 'guest' then 10000 when 'member' then 20000 else 30000 end`;
  try {
    const customer = await createCustomer(backend);
    const quota = async () => {
      const answer = await customer.call("uploads", { body: { content_type: jpeg, bytes: 10_000_000 } });
      return assertError(answer, "ERR_4020", "more than anybody may").details.quota_bytes;
    };
    assert.equal(await quota(), 10_000);
    await sql`update auth.users set is_anonymous = false where id = ${customer.id}`;
    assert.equal(await quota(), 20_000);
    const { appStore } = backend.stack.simulators;
    const { transactionId, signed } = await appStore.do({
      ...{ deed: "subscribe", productId: "level_1" },
      ...{ appAccountToken: customer.appAccountToken, account: customer.appAccountToken },
    });
    bodyOf(await present(customer, signed ?? ""), 200, z.unknown());
    assert.equal(await quota(), 30_000);
    await beginUpload(customer, 30_000);
    await appStore.do({ deed: "lapse", subscription: transactionId ?? "", graceDays: 16 });
    await untilTold(backend);
    assert.equal(await quota(), 30_000, "in its grace");
    await letTimePass(backend, 50 * 24 * hours);
    await untilTold(backend);
    assert.equal(await quota(), 20_000, "who has not paid has the room of a member, and keeps what is there");
  } finally {
    await sql`
      update videos.tiers
      set storage_bytes = case tier when 'guest' then 100000000 when 'member' then 500000000 else 5000000000 end`;
  }
});

Deno.test("nobody completes, sees or deletes another's upload", async () => {
  const [guest, stranger] = [await backend.signIn(), await backend.signIn()];
  const { upload_id } = await bringUpload(guest);
  assert.deepEqual((await list(stranger)).uploads, []);
  assert.equal((await completeUpload(stranger, upload_id)).status, 404);
  assert.equal((await remove(stranger, upload_id)).status, 404);
  assert.equal((await completeUpload(guest, crypto.randomUUID())).status, 404);
  assert.equal((await list(guest)).uploads.length, 1);
});

Deno.test("a deleted upload is gone at once, its files soon, and what comes to its URL later goes as well", async () => {
  const guest = await backend.signIn();
  const file = await fixture("baseline.jpg");
  const { upload_id, upload_url } = await beginUpload(guest, file.length);
  await sendFile(guest, { upload_url }, file);
  bodyOf(await completeUpload(guest, upload_id), 200, Upload);
  assert.equal((await remove(guest, upload_id)).status, 204);
  assert.deepEqual((await list(guest)).uploads, []);
  for (const again of [remove, completeUpload]) assert.equal((await again(guest, upload_id)).status, 404);
  await filesEventually(guest, 0);
  await sendFile(guest, { upload_url }, file);
  await filesEventually(guest, 1);
  await backend.database.advance(2.2 * hours);
  await filesEventually(guest, 0);
  const rows = await eventuallyDone(backend, "the row is gone", async () => {
    const found = await backend.database.sql`select from videos.uploads where id = ${upload_id}`;
    return found.length === 0 || undefined;
  }, 500);
  assert(rows);
});

Deno.test("a closed account's pictures are erased, what comes to their URLs afterwards too", async () => {
  const guest = await backend.signIn();
  await bringUpload(guest);
  const { upload_url } = await beginUpload(guest, 10_000);
  await filesEventually(guest, 1);
  assert.equal((await guest.call("user-profile", { method: "DELETE" })).status, 202);
  await sendFile(guest, { upload_url }, await fixture("baseline.jpg"));
  await backend.database.advance(2.2 * hours);
  await filesEventually(guest, 0);
  await eventuallyDone(backend, "the account is erased", async () => {
    const [erasure] = await backend.database.sql`select from accounts.erasures where user_id = ${guest.id}`;
    return erasure;
  }, 500);
  const rows = await backend.database.sql`select from videos.uploads where owner_id = ${guest.id}`;
  assert.equal(rows.length, 0);
});

async function animate(guest: Guest, uploadId: string, prompt = "It comes alive") {
  return await guest.call("generate-video", {
    body: { model_id: await modelFromPicture(backend), prompt, image_upload_id: uploadId },
    key: crypto.randomUUID(),
  });
}

Deno.test("an upload becomes a video: the copy is what is judged, and what the provider gets", async () => {
  const { fal, openAi } = backend.stack.simulators;
  await openAi.control.reset();
  const guest = await backend.signIn(1_000);
  const { upload_id, bytes } = await bringUpload(guest);
  const prompt = `A fox comes alive ${crypto.randomUUID()}`;
  const { job_id } = bodyOf(await animate(guest, upload_id, prompt), 202, AcceptedVideo);
  assert.equal((await ended(backend, guest, job_id)).status, "completed");
  const [sent] = submissionsOf(await fal.control.report(), prompt);
  const url = Object(sent?.body).image_url;
  assert.match(url, /\/storage\/v1\/object\/sign\/uploads\//);
  const picture = new Uint8Array(await (await fetch(url)).arrayBuffer());
  assert.equal(picture.length, bytes);
  const { requests } = await openAi.control.report();
  assert.deepEqual(requests.map(({ body }) => Object(body).input), [[
    { type: "text", text: prompt },
    { type: "image_url", image_url: { url } },
  ]]);
  assert.equal((await remove(guest, upload_id)).status, 204, "a video that has ended needs it no more");
  await backend.proveLedger();
});

Deno.test("a picture that is against the policy becomes no video, and the credits come back", async () => {
  const { fal, openAi } = backend.stack.simulators;
  await openAi.control.reset();
  const prompt = `A harmless sentence ${crypto.randomUUID()}`;
  await openAi.control.rules({ prompt, picture: true, effect: "flagged", times: null });
  const guest = await backend.signIn(1_000);
  const { upload_id } = await bringUpload(guest);
  const { job_id } = bodyOf(await animate(guest, upload_id, prompt), 202, AcceptedVideo);
  const { status, error } = await ended(backend, guest, job_id);
  assert.deepEqual([status, error?.code, error?.details], ["failed", "ERR_4003", { reason: "policy" }]);
  assert.equal(submissionsOf(await fal.control.report(), prompt).length, 0);
  assert.equal(await backend.balanceOf(guest), 1_000);
  await openAi.control.reset();
});

Deno.test("no video is made from an upload that is another's, pending, deleted, nobody's, or beside an address", async () => {
  const [guest, stranger] = [await backend.signIn(1_000), await backend.signIn(1_000)];
  const ready = await bringUpload(guest);
  const pending = await beginUpload(guest, 1000);
  const deleted = await bringUpload(guest);
  await remove(guest, deleted.upload_id);
  const tries = [[stranger, ready], [guest, deleted], [guest, { upload_id: crypto.randomUUID() }]] as const;
  for (const [caller, { upload_id }] of tries) {
    assertError(await animate(caller, upload_id), "ERR_4007", upload_id);
  }
  assert.deepEqual(
    assertError(await animate(guest, pending.upload_id), "ERR_4009", "pending").details,
    { status: "pending" },
  );
  const both = await guest.call("generate-video", {
    body: {
      model_id: await modelFromPicture(backend),
      prompt: "A fox",
      image_upload_id: ready.upload_id,
      image_url: "https://images.example.com/fox.png",
    },
    key: crypto.randomUUID(),
  });
  assert.partialDeepStrictEqual(assertError(both, "ERR_4008", "both").details, {
    fields: [{ path: "image_upload_id" }],
  });
  const forText = await guest.call("generate-video", {
    body: { model_id: kling, prompt: "A fox", image_upload_id: ready.upload_id },
    key: crypto.randomUUID(),
  });
  assertError(forText, "ERR_4008", "a model that takes no picture");
  assert.equal(await backend.balanceOf(guest), 1_000);
});

Deno.test("an upload is not deleted while a video is made from it", async () => {
  const { fal } = backend.stack.simulators;
  const guest = await backend.signIn(1_000);
  const { upload_id } = await bringUpload(guest);
  const prompt = `Never ends ${crypto.randomUUID()}`;
  await fal.control.rules({ prompt, outcome: "never" });
  const { job_id } = bodyOf(await animate(guest, upload_id, prompt), 202, AcceptedVideo);
  assert.deepEqual(assertError(await remove(guest, upload_id), "ERR_4009", "in use").details, {
    status: "in_use",
  });
  await submissionIs(backend, job_id, "accepted");
  assert.equal((await remove(guest, upload_id)).status, 409);
});
