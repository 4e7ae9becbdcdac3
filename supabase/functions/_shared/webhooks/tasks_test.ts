import assert from "node:assert/strict";
import { AppError } from "../errors/app-error.ts";
import { NeedsOperator, type Task } from "../queue/task.ts";
import { settableClock } from "../testing/clock.ts";
import { testConfig } from "../testing/config.ts";
import { fakeDatabase } from "../testing/database.ts";
import { recordingLogger } from "../testing/log.ts";
import { type FakeAnswer, fakeWeb } from "../testing/web.ts";
import { newSecret, sealSecret, signedHeaders } from "./secrets.ts";
import { webhookTasks } from "./tasks.ts";

const key = "a2V5IGtleSBrZXkga2V5IGtleSBrZXkga2V5IGtleSE=";
const otherKey = "T3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3I=";
const id = "b3f1c9d2-5e60-4a7b-8c14-9d20e6f7a835";
const deliveryId = "019ab3f2-8e30-7d66-b1c2-7b3ca0d1e528";
const event = {
  id: "019ab3f2-8e30-7d65-a0b1-7b3ca0d1e527",
  type: "video.progressed",
  user_id: null,
  data: { percent: 40 } as Record<string, unknown>,
  created_at: "2026-11-21T12:00:00.000Z",
};

/** One attempt: what it told the database, and what the web met of it. */
async function attempt(
  {
    answer,
    url = "https://hooks.example.com/kinora",
    data = event.data,
    facts,
    sealedWith = [key],
    away,
    isUnknown,
  }: {
    answer?: FakeAnswer | Error;
    url?: string;
    data?: Record<string, unknown>;
    facts?: unknown;
    /** The key that each of its secrets was sealed with, the one in use first. */
    sealedWith?: readonly string[];
    /** Whether the functions have no key. */
    away?: boolean;
    /** Whether the database could say nothing of the delivery. */
    isUnknown?: boolean;
  } = {},
) {
  const secrets = sealedWith.map(() => newSecret());
  const sealed = await Promise.all(
    sealedWith.map((key, index) => sealSecret(key, id, secrets[index] ?? assert.fail("no secret"))),
  );
  const webhook = { id, url, secrets: sealed };
  const task: Task = {
    task_id: 7,
    kind: "deliver_webhook",
    subject: deliveryId,
    owner_id: null,
    attempt: 2,
    payload: {},
    ...(isUnknown ? {} : { facts: facts === undefined ? { event: { ...event, data }, webhook } : facts }),
  };
  const web = fakeWeb({
    names: { "hooks.example.com": ["93.184.215.14"], "inside.example.com": ["10.0.0.1"] },
    answers: answer === undefined ? [] : [answer],
  });
  const { database, calls } = fakeDatabase({ finish_webhook_delivery: () => ({ outcome: "waiting" }) });
  const clock = settableClock();
  const { log, lines } = recordingLogger(clock.now);
  const config = testConfig(away ? {} : { OUTBOUND_WEBHOOK_KEY: key });
  const ports = { database, webhookWeb: web, config, now: clock.now };
  const { deliver_webhook } = webhookTasks;
  assert(deliver_webhook);
  await deliver_webhook(task, ports, { log, signal: new AbortController().signal });
  assert.equal(web.open(), 0, "connections that are left");
  const [{ args } = assert.fail("nothing was told"), ...more] = calls;
  assert.deepEqual(more, []);
  const { p_task_id, p_attempt, p_delivery_id, ...ended } = args as Record<string, unknown>;
  assert.deepEqual([p_task_id, p_attempt, p_delivery_id], [7, 2, deliveryId]);
  return { ended, events: web.events, sent: web.sent(), secrets, now: clock.now(), lines };
}

const answered = (status: number, rest = "Content-Length: 2\r\n\r\nok") => ({
  pieces: [`HTTP/1.1 ${status} X\r\n${rest}`],
});

Deno.test("2xx is a success, and everything else is none, with what the server said", async () => {
  for (const status of [200, 201, 202, 204, 299]) {
    const { ended } = await attempt({ answer: answered(status) });
    assert.deepEqual(ended, {
      p_answer: { status, duration_ms: 0, text: status === 204 ? "" : "ok" },
      p_failure: null,
      p_retry_after: null,
      p_is_final: false,
    });
  }
  for (const status of [300, 301, 302, 304, 307, 308, 400, 401, 404, 410, 429, 500, 503, 599]) {
    const { ended, events } = await attempt({
      answer: answered(status, "Location: /x\r\nContent-Length: 2\r\n\r\nno"),
    });
    assert.equal(ended.p_failure, `it answered ${status}`);
    assert.equal(events.filter((each) => each.startsWith("POST")).length, 1, "no redirect is followed");
  }
});

Deno.test("of an answer the first kilobyte is kept, whatever it says of its length, and though it never ends", async () => {
  const long = "x".repeat(3_000);
  const answers: FakeAnswer[] = [
    answered(200, `Content-Length: 3000\r\n\r\n${long}`),
    { ...answered(200, `Content-Length: 5368709120\r\n\r\n${long}`), goesOn: true },
    { ...answered(500, `\r\n${long}`), goesOn: true },
    answered(
      200,
      `Transfer-Encoding: chunked\r\n\r\n${"1f4\r\n" + "x".repeat(500) + "\r\n"}${
        "1f4\r\n" + "x".repeat(500) + "\r\n"
      }${"1f4\r\n" + "x".repeat(500)}`,
    ),
  ];
  for (const answer of answers) {
    const { ended } = await attempt({ answer });
    assert.equal((ended.p_answer as { text: string }).text, "x".repeat(1024));
  }
  // One that breaks off, or is in no form, has its status all the same.
  for (const rest of ["Content-Length: 100\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\nzz\r\n"]) {
    assert.equal((await attempt({ answer: answered(200, rest) })).ended.p_failure, null);
  }
  const { ended } = await attempt({ answer: answered(500, "Content-Length: 5\r\n\r\na\0\xffbc") });
  assert(!(ended.p_answer as { text: string }).text.includes("\0"), "Postgres takes no NUL");
});

Deno.test("no address that is not public is connected to, at any attempt", async () => {
  const urls = [
    "https://inside.example.com/",
    "https://nowhere.example.com/",
    "http://127.0.0.1:1/",
    "https://127.0.0.1/",
  ];
  for (const url of urls) {
    const { ended, events } = await attempt({ url, answer: answered(200) });
    assert.match(String(ended.p_failure), /not public|no public|no address/, url);
    assert(!events.some((each) => each.startsWith("connect")), url);
    assert.equal((ended.p_answer as { status: null }).status, null);
  }
});

Deno.test("how long a server asks to wait is passed on, in seconds or as a date", async () => {
  const at = (value: string) =>
    attempt({ answer: answered(503, `Retry-After: ${value}\r\nContent-Length: 0\r\n\r\n`) });
  assert.equal((await at("120")).ended.p_retry_after, 120);
  // What is more the database could not take: the attempt would count for nothing, and be made again at once.
  assert.equal((await at("Fri, 31 Dec 9999 23:59:59 GMT")).ended.p_retry_after, 86_400);
  for (const bad of ["-1", "soon", "1e9"]) assert.equal((await at(bad)).ended.p_retry_after, null, bad);
});

Deno.test("a message of more than 20 kB is not sent, and not tried again", async () => {
  const fits = await attempt({ answer: answered(200), data: { text: "x".repeat(19_500) } });
  assert.equal(fits.ended.p_failure, null);
  for (const text of ["x".repeat(20_000), "ü".repeat(10_000)]) {
    const { ended, events } = await attempt({ answer: answered(200), data: { text } });
    assert.deepEqual([ended.p_is_final, ended.p_answer, events], [true, null, []]);
    assert.match(String(ended.p_failure), /20000 bytes/);
  }
});

Deno.test("where there is nobody to tell any more nothing is sent, and the task ends", async () => {
  const { ended, events } = await attempt({ facts: null });
  assert.deepEqual([ended.p_answer, events], [null, []]);
  assert(ended.p_failure);
});

Deno.test("where the database could not say what is to be told, that is why nothing is sent", async () => {
  const { ended, events } = await attempt({ isUnknown: true });
  assert.deepEqual([ended.p_answer, events], [null, []]);
  assert.match(String(ended.p_failure), /could not be read/);
});

Deno.test("without the key, or with another one, the operator is told, and the message waits", async () => {
  await assert.rejects(attempt({ away: true }), (error) => {
    assert(error instanceof NeedsOperator && !(error instanceof AppError));
    return error.alert.rule === "webhooks_not_configured";
  });
  for (const sealedWith of [[otherKey], [otherKey, key]]) {
    await assert.rejects(attempt({ sealedWith }), (error) => {
      assert(error instanceof NeedsOperator);
      return error.alert.rule === "webhook_secret_sealed" && error.alert.subject === `webhook ${id}`;
    });
  }
});

Deno.test("a secret that was replaced, and sealed with the key of then, stops no message: those that open sign it", async () => {
  for (const [sealedWith, signing] of [[[key, otherKey], [0]], [[key, otherKey, key], [0, 2]]] as const) {
    const { ended, sent, secrets, now } = await attempt({ sealedWith, answer: answered(200) });
    assert.equal(ended.p_failure, null);
    const [head = "", body = ""] = sent.split("\r\n\r\n");
    const { "webhook-signature": signature } = await signedHeaders(
      signing.map((index) => secrets[index] ?? assert.fail("no secret")),
      { id: event.id, body, now },
    );
    assert.equal(/^webhook-signature: (.*)$/im.exec(head)?.[1]?.trim(), signature);
  }
});

Deno.test("what is logged names no address, and nothing that the server said", async () => {
  const { lines } = await attempt({ answer: answered(500, "Content-Length: 6\r\n\r\ncanary") });
  const [line] = lines;
  assert.deepEqual([line?.event, line?.level, line?.outcome, line?.status], [
    "webhook_delivery",
    "warn",
    "waiting",
    500,
  ]);
  assert.doesNotMatch(JSON.stringify(lines), /canary|example\.com|whsec/);
});
