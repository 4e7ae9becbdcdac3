import assert from "node:assert/strict";
import { newApp, newSession, newSignedInApp, newStore, refusal } from "../testing/app.ts";
import { virtualTime } from "../testing/virtual-time.ts";
import { Kinora, KinoraError } from "./kinora.ts";

const job = {
  job_id: "job-1",
  status: "processing",
  video_url: null,
  progress: { stage: "generating", percent: 10 },
};
const running = { ...job, next_poll_seconds: 5 };
const ended = {
  ...job,
  status: "completed",
  progress: { stage: "done", percent: 100 },
  next_poll_seconds: null,
};
const accepted = { job_id: "job-1", status: "pending", credits_used: 4, credits_remaining: 6 };
const request = { model_id: "model-1", prompt: "A fox" };
const several = { mode: "all" as const, items: [request, request] };

/** All that a network, a platform and a database that is away can answer. */
const outages: (() => Response | Promise<Response>)[] = [
  () => Promise.reject(new TypeError("No network")),
  () => new Response("<html>Bad gateway</html>", { status: 502, headers: { "content-type": "text/html" } }),
  () => Response.json({ code: "BOOT_ERROR", message: "Function failed to start" }, { status: 503 }),
  () => new Response("", { status: 546, headers: { "sb-error-code": "EDGE_FUNCTION_ERROR" } }),
  () => Response.json({ error: "a relay" }, { status: 500, headers: { "x-relay-error": "true" } }),
  () => refusal(503, "ERR_6001", { retry_after: 2 }),
  () => refusal(500, "ERR_6003"),
  () => refusal(429, "ERR_4004", { policy: "reads", retry_after: 30 }),
  // A network's sign-in page, and answers that break off.
  () => new Response("<html>Pay for this network</html>", { headers: { "content-type": "text/html" } }),
  () => new Response("", { status: 200 }),
  () => new Response('{"job_id":', { headers: { "content-type": "application/json" } }),
  () => new Response("null", { headers: { "content-type": "application/json" } }),
  () => new Response(brokenOff(), { headers: { "content-type": "application/json" } }),
  () => new Response(brokenOff(), { status: 503 }),
  () => new Promise(() => {}),
];

function brokenOff(): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('{"job_id":'));
      controller.error(new TypeError("The connection was reset"));
    },
  });
}

Deno.test("a watcher survives an hour of outages of every kind, with its session, and shows each state once", async () => {
  using time = virtualTime();
  let asked = 0;
  const outageIsOver = () => time.now() > 3_700_000;
  const storage = newStore();
  storage.setItem("session", JSON.stringify(newSession("user of the hour")));
  const kinora = newApp((path, request) => {
    const isOut = time.now() > 60_000 && !outageIsOver();
    if (path.startsWith("token")) {
      if (isOut) return new Response("", { status: 503 });
      return Response.json(newSession("user of the hour"));
    }
    assert.match(request.headers.get("authorization") ?? "", /^Bearer [\w-]+\./);
    const outage = outages[asked++ % outages.length];
    if (isOut && outage) return outage();
    return Response.json(outageIsOver() ? ended : running);
  }, storage);
  const shown: string[] = [];
  for await (const { status } of kinora.watch("job-1")) shown.push(status);
  assert.deepEqual(shown, ["processing", "completed"]);
  assert(asked > outages.length * 3, `asked ${asked} times`);
  assert.equal(time.waiting, 0);
});

/** Two waits of 30 seconds fit into it. */
const patient = { timeout: 90_000 };

for (const [index, outage] of outages.entries()) {
  Deno.test(`no call takes outage ${index} for an answer, and each tries again`, async () => {
    using _ = virtualTime();
    const calls: [string, (kinora: Kinora) => Promise<unknown>, unknown][] = [
      ["models", (kinora) => kinora.models(patient), { models: [] }],
      ["generate-video", (kinora) => kinora.generate(request, patient), accepted],
      ["generate-videos", (kinora) => kinora.generateVideos(several, patient), { results: [] }],
      ["cancel-video", (kinora) => kinora.cancel("job-1", patient), running],
      ["user-profile", (kinora) => kinora.account.profile(patient), { user_id: "user" }],
      ["credits", (kinora) => kinora.credits(patient), {
        credits_remaining: 6,
        transactions: [],
        next_cursor: null,
      }],
      ["video-jobs", (kinora) => kinora.jobs({}, patient).next(), { jobs: [running], next_cursor: null }],
      ["device-check", (kinora) => kinora.start(() => Promise.resolve("AAAA"), patient), { user_id: "user" }],
      ["delete-video-job", (kinora) => kinora.delete("job-1", patient), null],
      ["reports", (kinora) => kinora.safety.report({ job_id: "job-1", reason: "hate" }, patient), {
        report_id: "report-1",
      }],
      ["appeals", (kinora) => kinora.safety.appeal("job-1", "It is me", patient), { status: "appealed" }],
      ["notifications", (kinora) => kinora.inbox.list({}, patient).next(), {
        notifications: [],
        unread: 0,
        next_cursor: null,
      }],
      ["push-tokens", (kinora) => kinora.push.register("0a", "sandbox", patient), null],
      ["push-tokens?token=0a", (kinora) => kinora.push.unregister("0a", patient), null],
      ["notifications", (kinora) => kinora.inbox.unread(patient), { notifications: [], unread: 3 }],
      ["notifications", (kinora) => kinora.inbox.markRead(["notification-1"], patient), { unread: 2 }],
      ["notifications", (kinora) => kinora.inbox.markRead(undefined, patient), { unread: 0 }],
      ["projects", (kinora) => kinora.projects.create("Winter", patient), { project_id: "project-1" }],
      ["projects", (kinora) => kinora.projects.rename("project-1", "Summer", patient), { name: "Summer" }],
      ["projects", (kinora) => kinora.projects.list({}, patient).next(), { projects: [], next_cursor: null }],
      ["projects", (kinora) => kinora.projects.delete("project-1", patient), null],
    ];
    for (const [endpoint, call, answer] of calls) {
      let tries = 0;
      const keys = new Set<string | null>();
      const kinora = newSignedInApp((path, request) => {
        assert(path.startsWith(endpoint), path);
        keys.add(request.headers.get("idempotency-key"));
        if (++tries < 3) return outage();
        return answer === null ? new Response(null, { status: 204 }) : Response.json(answer);
      });
      await call(kinora);
      assert.deepEqual([tries, keys.size], [3, 1], endpoint);
    }
  });
}

Deno.test("an error's details are those of its code, with its message, status and request", async () => {
  const kinora = newSignedInApp(() => refusal(402, "ERR_4001", { required: 4, available: 1 }));
  const error = await kinora.generate(request).catch((error: unknown) => error);
  assert(error instanceof KinoraError && error instanceof Error);
  assert(error.code === "ERR_4001");
  // Numbers by their type, which is what is tested: another code's details would not compile.
  const missing: number = error.details.required - error.details.available;
  assert.deepEqual(
    [missing, error.status, error.action, error.requestId, error.message, error.name],
    [3, 402, "buy", "request-1", "In words: ERR_4001", "KinoraError"],
  );
});

Deno.test("a code that is newer than the package is thrown, and not tried again", async () => {
  let tries = 0;
  const kinora = newSignedInApp(() => {
    tries++;
    return refusal(409, "ERR_4999", { anything: 1 });
  });
  await assert.rejects(kinora.models(), { code: "ERR_4999", action: "stop", details: { anything: 1 } });
  assert.equal(tries, 1);
});

Deno.test("messages are asked for in the app's language, or in the call's", async () => {
  const asked: (string | null)[] = [];
  const kinora = newSignedInApp((_, request) => {
    asked.push(request.headers.get("accept-language"));
    return Response.json({ models: [] });
  }, { language: "tr" });
  await kinora.models();
  await kinora.models({ language: "es, en;q=0.5" });
  await newSignedInApp((_, request) => {
    asked.push(request.headers.get("accept-language"));
    return Response.json({ models: [] });
  }).models();
  assert.deepEqual(asked, ["tr", "es, en;q=0.5", null]);
});

Deno.test("an account that was closed by a try whose answer was lost is closed", async () => {
  using _ = virtualTime();
  const lost = () => Promise.reject(new TypeError("No network"));
  for (const first of [lost, () => refusal(503, "ERR_6001", { retry_after: 2 })]) {
    let tries = 0;
    await newSignedInApp((path) => {
      if (path.startsWith("logout")) return new Response(null, { status: 204 });
      assert.equal(path, "user-profile");
      return ++tries === 1 ? first() : refusal(401, "ERR_4005");
    }).account.close();
    assert.equal(tries, 2);
  }
});

Deno.test("an account is closed with the code of a sign-in with Apple where there is one, and without a body where there is none", async () => {
  const closed = { user_id: "u", closed_at: "2026-11-20T12:00:00.000Z", subscription: null };
  for (
    const [options, body] of [
      [undefined, ""],
      [{ timeout: 5_000 }, ""],
      [{ appleAuthorizationCode: "c1" }, '{"apple_authorization_code":"c1"}'],
    ] as const
  ) {
    const sent: string[] = [];
    const answer = await newSignedInApp(async (path, request) => {
      if (path.startsWith("logout")) return new Response(null, { status: 204 });
      sent.push(await request.text());
      return Response.json(closed, { status: 202 });
    }).account.close(options);
    assert.deepEqual([answer, sent], [closed, [body]]);
  }
});

Deno.test("an account is not said to be closed where only the session is over", async () => {
  using _ = virtualTime();
  for (const before of [0, 1]) {
    let tries = 0;
    const closing = newSignedInApp((path) => {
      if (path.startsWith("token")) return refusal(400, "refresh_token_not_found");
      const limited = refusal(429, "ERR_4004", { policy: "writes", retry_after: 1 });
      return tries++ < before ? limited : refusal(401, "ERR_4005");
    }).account.close();
    await assert.rejects(closing, { code: "ERR_4005" });
  }
});

Deno.test("a video that is not there is deleted, and any other refusal is thrown", async () => {
  await newSignedInApp(() => refusal(404, "ERR_4007")).delete("job-1");
  const deleting = newSignedInApp(() => refusal(409, "ERR_4009", { status: "processing" })).delete("job-1");
  await assert.rejects(deleting, { code: "ERR_4009", details: { status: "processing" } });
});

Deno.test("lists go over all pages, and ask for one when it is needed", async () => {
  const asked: string[] = [];
  const kinora = newSignedInApp((path) => {
    asked.push(path);
    const page = Number(new URL(path, "http://x").searchParams.get("cursor") ?? 0);
    return Response.json({
      jobs: [{ ...job, job_id: `${page}a` }, { ...job, job_id: `${page}b` }],
      next_cursor: page < 2 ? `${page + 1}` : null,
    });
  });
  const found: string[] = [];
  for await (const { job_id } of kinora.jobs({ limit: 2, status: "completed" })) found.push(job_id);
  assert.deepEqual(found, ["0a", "0b", "1a", "1b", "2a", "2b"]);
  const query = "limit=2&status=completed";
  assert.deepEqual(asked, ["", "&cursor=1", "&cursor=2"].map((cursor) => `video-jobs?${query}${cursor}`));

  asked.length = 0;
  for await (const _ of kinora.jobs()) break;
  assert.deepEqual(asked, ["video-jobs"]);
});

Deno.test("every call ends with its signal, whatever it waits for, and leaves no timer", async () => {
  const left = new Error("The app is in the background");
  const calls: ((kinora: Kinora, signal: AbortSignal) => Promise<unknown>)[] = [
    (kinora, signal) => kinora.start(() => Promise.resolve("AAAA"), { signal }),
    (kinora, signal) => kinora.models({ signal }),
    (kinora, signal) => kinora.generate(request, { signal }),
    (kinora, signal) => kinora.watch("job-1", { signal }).next(),
    (kinora, signal) => kinora.job("job-1", { signal }),
    (kinora, signal) => kinora.cancel("job-1", { signal }),
    (kinora, signal) => kinora.download("job-1", { signal }),
    (kinora, signal) => kinora.jobs({}, { signal }).next(),
    (kinora, signal) => kinora.transactions({}, { signal }).next(),
    (kinora, signal) => kinora.delete("job-1", { signal }),
    (kinora, signal) => kinora.credits({ signal }),
    (kinora, signal) => kinora.account.profile({ signal }),
    (kinora, signal) => kinora.account.update({ language: "tr" }, { signal }),
    (kinora, signal) => kinora.account.close({ signal }),
  ];
  const hangs = () => new Promise<Response>(() => {});
  const fails = () => Promise.reject(new TypeError("No network"));
  const local = (kinora: Kinora, signal: AbortSignal) => kinora.intentions({ signal });
  for (const [network, those] of [[hangs, [...calls, local]], [fails, calls]] as const) {
    for (const call of those) {
      // An expired session hangs while it is refreshed, in which no signal reaches.
      const storage = newStore();
      const { expires_at, ...session } = newSession();
      storage.setItem(
        "session",
        JSON.stringify({ ...session, expires_at: network === hangs ? 1 : expires_at }),
      );
      const controller = new AbortController();
      const ending = assert.rejects(call(newApp(network, storage), controller.signal), left, call.toString());
      await new Promise((resolve) => setTimeout(resolve));
      controller.abort(left);
      // Deno's sanitizer finds the timers that are left.
      await ending;
    }
  }
});

Deno.test("new endpoints are called by what is generated, with all that the others have", async () => {
  using _ = virtualTime();
  let tries = 0;
  const kinora = newSignedInApp(() =>
    ++tries < 3 ? refusal(500, "ERR_6003") : Response.json({ status: "healthy" })
  );
  const health = await kinora.call((api, init) => api.GET("/health", init));
  const status: "healthy" | "degraded" | "unhealthy" = health.status;
  assert.deepEqual([status, tries], ["healthy", 3]);
});

Deno.test("a video is fetched anew from a fresh URL where it broke off, and only a completed one", async () => {
  using _ = virtualTime();
  let urls = 0;
  const fetched: string[] = [];
  const kinora = newSignedInApp(
    () => Response.json({ ...ended, video_url: `https://storage.example/${++urls}` }),
    {
      fetch: (url) => {
        fetched.push(String(url));
        if (fetched.length === 1) return Promise.resolve(new Response("expired", { status: 400 }));
        if (fetched.length === 2) return Promise.resolve(new Response(brokenOff()));
        if (fetched.length === 3) return Promise.reject(new TypeError("No network"));
        return Promise.resolve(new Response("the video"));
      },
    },
  );
  assert.equal(await (await kinora.download("job-1")).text(), "the video");
  assert.deepEqual(fetched, [1, 2, 3, 4].map((url) => `https://storage.example/${url}`));

  const early = newSignedInApp(() => Response.json(running)).download("job-1");
  await assert.rejects(early, { code: "ERR_4009", details: { status: "processing" } });
});

Deno.test("a video is accepted in the call's time, a slow refresh of the session included", async () => {
  using time = virtualTime();
  const slow = async (response: () => Response) => {
    await new Promise((resolve) => setTimeout(resolve, 25_000));
    return response();
  };
  for (
    const call of [
      (kinora: Kinora) => kinora.generate(request, { timeout: 40_000 }),
      (kinora: Kinora) => kinora.generateVideos(several, { timeout: 40_000 }),
    ]
  ) {
    const begun = time.now();
    const storage = newStore();
    storage.setItem("session", JSON.stringify({ ...newSession("the guest"), expires_at: 1 }));
    const kinora = newApp((path) => {
      if (path.startsWith("token")) return slow(() => Response.json(newSession("the guest")));
      return slow(() => Response.json(accepted, { status: 202 }));
    }, storage);
    await assert.rejects(call(kinora), { code: null });
    assert(time.now() - begun <= 40_000, `${time.now() - begun} ms`);
  }
});
