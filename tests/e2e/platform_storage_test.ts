/** Storage on this machine, through supabase-js and as a video player uses it. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { createClient } from "@supabase/supabase-js";
import { peakMemory } from "../../local/processes/process-usage.ts";
import { type Stack, startStack } from "../../local/stack.ts";
import { type TestDatabase, testDatabase } from "../database/harness.ts";

let database: TestDatabase;
let stack: Stack;

Deno.test.beforeAll(async () => {
  database = await testDatabase();
  stack = await startStack({ databaseUrl: database.url, tickMilliseconds: Infinity });
  const { error } = await service().storage.createBucket("private", { public: false });
  assert.equal(error, null);
});

Deno.test.afterAll(async () => {
  await stack[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

function client(key = stack.publishableKey) {
  return createClient(stack.url, key, { auth: { persistSession: false, autoRefreshToken: false } });
}

function service() {
  return client(stack.secretKey);
}

const bucket = () => service().storage.from("private");

/** Uploads `bytes` under a new name, and gives the name. */
async function upload(bytes: Uint8Array, contentType = "video/mp4"): Promise<string> {
  const name = `${crypto.randomUUID()}/video.mp4`;
  const { error } = await bucket().upload(name, bytes, { contentType });
  assert.equal(error, null);
  return name;
}

async function signedUrl(name: string, seconds = 60): Promise<string> {
  const { data, error } = await bucket().createSignedUrl(name, seconds);
  assert.equal(error, null);
  return data?.signedUrl ?? "";
}

const text = (value: string) => new TextEncoder().encode(value);

Deno.test("an object comes back as it was uploaded, with its type", async () => {
  const name = await upload(text("some bytes"));
  const { data, error } = await bucket().download(name);
  assert.equal(error, null);
  assert.equal(await data?.text(), "some bytes");
  const response = await fetch(await signedUrl(name));
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "video/mp4");
  assert.equal(await response.text(), "some bytes");
});

Deno.test("neither an app nor a guest reads a private bucket, or writes it", async () => {
  const name = await upload(text("secret"));
  const guest = client();
  await guest.auth.signInAnonymously();
  for (const supabase of [client(), guest]) {
    const { data, error } = await supabase.storage.from("private").download(name);
    assert.equal(data, null);
    assert.notEqual(error, null);
    assert.notEqual((await supabase.storage.from("private").upload("mine", "x")).error, null);
    assert.notEqual((await supabase.storage.from("private").createSignedUrl(name, 60)).error, null);
  }
});

Deno.test("a second upload of the same name is refused, unless it may replace the first", async () => {
  const name = await upload(text("first"));
  assert.notEqual((await bucket().upload(name, text("second"))).error, null);
  assert.equal(await (await fetch(await signedUrl(name))).text(), "first");
  assert.equal((await bucket().upload(name, text("third"), { upsert: true })).error, null);
  assert.equal(await (await fetch(await signedUrl(name))).text(), "third");
});

Deno.test("createSignedUrls gives a URL for each object, and an error for the one that is not there", async () => {
  const [one, other] = [await upload(text("one")), await upload(text("other"))];
  const { data } = await bucket().createSignedUrls([one, other, "absent"], 60);
  assert.deepEqual(data?.map(({ path, error }) => [path, error === null]), [[one, true], [other, true], [
    "absent",
    false,
  ]]);
  assert.equal(await (await fetch(data?.[1]?.signedUrl ?? "")).text(), "other");
});

Deno.test("a tampered, borrowed or missing token is a 400", async () => {
  const [name, other] = [await upload(text("x")), await upload(text("y"))];
  const url = new URL(await signedUrl(name));
  const status = async (change: (url: URL) => void) => {
    const changed = new URL(url);
    change(changed);
    const response = await fetch(changed);
    await response.body?.cancel();
    return response.status;
  };
  const token = url.searchParams.get("token") ?? "";
  assert.equal(await status(() => {}), 200);
  // Not the last character, of which two bits do not count.
  assert.equal(await status((url) => url.searchParams.set("token", token.replace(/.{5}$/, "AAAAA"))), 400);
  assert.equal(await status((url) => url.pathname = url.pathname.replace(name, other)), 400);
  assert.equal(await status((url) => url.searchParams.delete("token")), 400);
});

Deno.test("an expired URL is a 400", async () => {
  const url = await signedUrl(await upload(text("x")), -1);
  const response = await fetch(url);
  assert.equal(response.status, 400);
  assert.match((await response.json()).message, /exp/);
});

Deno.test("a player gets the part of a video that it asks for", async () => {
  const url = await signedUrl(await upload(text("0123456789")));
  const part = async (range: string, headers: Record<string, string> = {}) => {
    const response = await fetch(url, { headers: { range, ...headers } });
    return [response.status, response.headers.get("content-range"), await response.text()];
  };
  assert.deepEqual(await part("bytes=2-4"), [206, "bytes 2-4/10", "234"]);
  assert.deepEqual(await part("bytes=7-"), [206, "bytes 7-9/10", "789"]);
  assert.deepEqual(await part("bytes=-2"), [206, "bytes 8-9/10", "89"]);
  assert.deepEqual(await part("bytes=8-99"), [206, "bytes 8-9/10", "89"]);
  assert.deepEqual(await part("bytes=0-0"), [206, "bytes 0-0/10", "0"]);
  assert.deepEqual(await part("bytes=10-"), [416, "bytes */10", ""]);
  assert.deepEqual(await part("bytes=2-4", { "if-range": '"another version"' }), [200, null, "0123456789"]);

  const whole = await fetch(url, { method: "HEAD" });
  assert.equal(whole.headers.get("accept-ranges"), "bytes");
  assert.equal(whole.headers.get("content-length"), "10");
  assert.deepEqual(await part("bytes=2-4", { "if-range": whole.headers.get("etag") ?? "" }), [
    206,
    "bytes 2-4/10",
    "234",
  ]);
});

Deno.test("a removed object is gone, and so is its signed URL", async () => {
  const name = await upload(text("x"));
  const url = await signedUrl(name);
  const { data, error } = await bucket().remove([name]);
  assert.equal(error, null);
  assert.equal(data?.length, 1);
  const response = await fetch(url);
  assert.equal(response.status, 400);
  assert.equal((await response.json()).statusCode, "404");
  const { data: left } = await bucket().list(name.split("/")[0]);
  assert.deepEqual(left, []);
});

Deno.test("an object cannot leave the store's folder", async () => {
  for (const name of ["../../escape", "a/../../escape", "%2e%2e/%2e%2e/escape"]) {
    const response = await fetch(
      `${stack.url}/storage/v1/object/private/${name.replaceAll("..", "%2e%2e")}`,
      {
        method: "POST",
        headers: { apikey: stack.secretKey },
        body: "x",
      },
    );
    await response.body?.cancel();
    assert.notEqual(response.status, 200, name);
  }
});

Deno.test("an upload that breaks off leaves no object", async () => {
  const name = crypto.randomUUID();
  const broken = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(text("half")),
    pull: (controller) => controller.error(new Error("broken on purpose")),
  });
  assert.notEqual((await bucket().upload(name, broken, { duplex: "half" })).error, null);
  assert.notEqual((await bucket().download(name)).error, null);
  const folder = `${dirname(stack.logs.gateway)}/objects/private`;
  const files = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  assert.deepEqual(files.filter((file) => file.startsWith(name)), []);
});

// Only Linux tells what a process has used.
const onLinux = { ignore: Deno.build.os !== "linux" };

Deno.test("a large video is streamed in and out, never held whole", onLinux, async () => {
  // Much more than the garbage of streaming, of which there have been 158 MB before it was collected.
  const [megabyte, count] = [new Uint8Array(1024 * 1024).fill(7), 450];
  const name = `${crypto.randomUUID()}/large.mp4`;
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent++ < count) controller.enqueue(megabyte);
      else controller.close();
    },
  });
  const before = peakMemory(stack.gateway.pid) ?? NaN;
  const { error } = await bucket().upload(name, body, { contentType: "video/mp4", duplex: "half" });
  assert.equal(error, null);
  let received = 0;
  const response = await fetch(await signedUrl(name));
  for await (const chunk of response.body ?? []) received += chunk.length;
  assert.equal(received, count * megabyte.length);
  const grown = (peakMemory(stack.gateway.pid) ?? NaN) - before;
  assert(grown < 300 * 1024 * 1024, `the gateway's peak grew by ${Math.round(grown / 1024 / 1024)} MB`);
});
