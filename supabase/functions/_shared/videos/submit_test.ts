import assert from "node:assert/strict";
import { AppError } from "../errors/app-error.ts";
import type { ClaimedSubmission } from "./procedures.ts";
import type { Verdict } from "./moderation/moderation.ts";
import type { Generation, SubmitOutcome } from "./providers/provider.ts";
import { verifyWebhookToken } from "./providers/webhook-token.ts";
import { fakeDatabase } from "../testing/database.ts";
import { recordingLogger } from "../testing/log.ts";
import { fakeModeration } from "../testing/moderation.ts";
import { fakeProvider, fakeProviders } from "../testing/provider.ts";
import { jobId, ownerReference } from "../testing/tasks.ts";
import { fetchImage } from "./images/fetched.ts";
import { submitVideo } from "./submit.ts";
import { fakeStorage } from "../testing/storage.ts";
import { fakeWeb, type FakeWorld } from "../testing/web.ts";

const webhookSecret = "a secret of thirty-two characters";
const claim: ClaimedSubmission = {
  claimed: true,
  submission_id: "0190a000-0000-7000-8000-0000000000cc",
  owner_reference: ownerReference,
  provider: "fal",
  provider_model: "fal-ai/veo3/fast",
  prompt: "a red fox",
  settings: { duration_seconds: 8, resolution: "720p", aspect_ratio: "9:16" },
  fields: { seed: 7 },
};
/** How each attempt to claim asks, and what is recorded of the submission beside its outcome. */
const claiming = { p_job_id: jobId, p_providers: ["fal"], p_moderates: false };
const ofSubmission = { p_submission_id: claim.submission_id, p_poll_seconds: 2, p_providers: ["fal"] };
const accepted: SubmitOutcome = { outcome: "accepted", requestId: "r", references: { status_url: "u" } };

/** A job that is to be submitted, and all that happens. */
function setting(given: {
  claimed?: ClaimedSubmission | null;
  submit?: () => Promise<SubmitOutcome>;
  secret?: string | null;
  webhook?: boolean;
  /** Of the moderation service, where there is one. */
  verdict?: Verdict;
  /** How often the answer cannot be recorded, and why. */
  unrecorded?: { times: number; error: Error };
}) {
  const { claimed = claim, submit = () => Promise.resolve(accepted), secret = webhookSecret } = given;
  const { log, lines } = recordingLogger();
  const events: unknown[] = [];
  const sent: Generation[] = [];
  const { moderation, seen } = fakeModeration(given.verdict);
  let failures = given.unrecorded?.times ?? 0;
  const base = fakeProvider();
  const fal = fakeProvider({
    capabilities: { ...base.capabilities, webhook: given.webhook ?? true },
    submit: (generation) => {
      events.push("sent");
      sent.push(generation);
      return submit();
    },
  });
  const context = {
    log,
    moderation: given.verdict === undefined ? null : moderation,
    uploads: fakeStorage(),
    storage: fakeStorage(),
    providers: fakeProviders(fal),
    config: { publicFunctionsUrl: "https://project.example.com/functions/v1", webhookSecret: secret },
    ...fakeDatabase({
      claim_submission: (args) => {
        events.push(["claimed", args]);
        const isUnjudged = given.verdict !== undefined && args.p_verdict === undefined;
        if (isUnjudged) return { claimed: false, prompt: claim.prompt };
        const isLetPass = given.verdict === undefined || given.verdict.verdict === "passed";
        return isLetPass && claimed !== null ? claimed : { claimed: false };
      },
      record_submission: (args) => {
        events.push(["recorded", args]);
        failures -= 1;
        if (given.unrecorded !== undefined && failures >= 0) return Promise.reject(given.unrecorded.error);
        return { status: "processing", has_others: false };
      },
    }),
  };
  const pauses: number[] = [];
  const pause = (milliseconds: number) => Promise.resolve(void pauses.push(milliseconds));
  const run = (prompt?: string) => submitVideo(jobId, context, { prompt, pause });
  return { events, sent, lines, seen, pauses, run };
}

Deno.test("a job is claimed, then sent, then its answer recorded", async () => {
  const { run, events } = setting({});
  await run();
  assert.deepEqual(events, [
    ["claimed", claiming],
    "sent",
    ["recorded", {
      ...ofSubmission,
      p_outcome: {
        outcome: "accepted",
        request_id: "r",
        references: { status_url: "u" },
        reports_start: true,
      },
    }],
  ]);
});

Deno.test("what is not claimed is not sent", async () => {
  const { run, events } = setting({ claimed: null });
  await run();
  assert.deepEqual(events, [["claimed", claiming]]);
});

Deno.test("the provider gets the generation, and a webhook URL that proves this submission and names its owner", async () => {
  const { run, sent } = setting({});
  await run();
  const { webhookUrl, ...generation } = sent[0] ?? {};
  assert.deepEqual(generation, {
    providerModel: "fal-ai/veo3/fast",
    prompt: "a red fox",
    durationSeconds: 8,
    resolution: "720p",
    aspectRatio: "9:16",
    imageUrl: null,
    videoUrl: null,
    fields: { seed: 7 },
  });
  const url = new URL(webhookUrl ?? "");
  assert.equal(url.origin + url.pathname, "https://project.example.com/functions/v1/provider-webhook");
  const { owner, provider = "", submission_id = "", token = "" } = Object.fromEntries(url.searchParams);
  assert.deepEqual([owner, provider, submission_id], [ownerReference, "fal", claim.submission_id]);
  assert(verifyWebhookToken(webhookSecret, provider, submission_id, token));
});

Deno.test("a provider without webhooks is given no URL", async () => {
  const { run, sent } = setting({ webhook: false });
  await run();
  assert.equal(sent[0]?.webhookUrl, null);
});

Deno.test("without the secret no provider is offered, since no webhook could be believed", async () => {
  const { run, events } = setting({ secret: null, claimed: null });
  await run();
  assert.deepEqual(events, [["claimed", { ...claiming, p_providers: [] }]]);
});

Deno.test("whatever the provider answers is recorded with the names that SQL reads, and logged without the prompt", async () => {
  const failure = { code: "ERR_4003", details: { reason: "provider_policy" }, cause: "policy" } as const;
  const outcomes: [SubmitOutcome, object, Record<string, unknown>][] = [
    [
      accepted,
      { outcome: "accepted", request_id: "r", references: { status_url: "u" } },
      { level: "info", outcome: "accepted" },
    ],
    [
      { outcome: "unknown", cause: "no answer in time" },
      { outcome: "unknown", cause: "no answer in time" },
      { level: "warn", cause: "no answer in time" },
    ],
    [
      { outcome: "not_accepted", cause: "429", retryAfterSeconds: 3, isBusy: true, needsOperator: true },
      { outcome: "not_accepted", cause: "429", retry_after_seconds: 3, is_busy: true, needs_operator: true },
      { level: "warn", cause: "429" },
    ],
    [{ outcome: "refused", failure }, { outcome: "refused", failure }, {
      level: "warn",
      code: "ERR_4003",
      cause: "policy",
    }],
  ];
  for (const [outcome, written, logged] of outcomes) {
    const { run, events, lines } = setting({ submit: () => Promise.resolve(outcome) });
    await run();
    assert.deepEqual(events[2], [
      "recorded",
      { ...ofSubmission, p_outcome: { ...written, reports_start: true } },
    ]);
    const line = lines.find(({ event }) => event === "submission") ?? {};
    const facts = { job_id: jobId, submission_id: claim.submission_id, provider: "fal", ...logged };
    for (const [name, value] of Object.entries(facts)) assert.equal(line[name], value, name);
    assert(!JSON.stringify(lines).includes("red fox"));
  }
});

Deno.test("an adapter that throws proves nothing: the outcome is unknown", async () => {
  const { run, events } = setting({ submit: () => Promise.reject(new Error("a bug")) });
  await run();
  const outcome = { outcome: "unknown", cause: "a bug", reports_start: true };
  assert.deepEqual(events[2], ["recorded", { ...ofSubmission, p_outcome: outcome }]);
});

Deno.test("a prompt that the moderation service lets pass is claimed with its verdict, and sent", async () => {
  const { run, events, seen, lines } = setting({ verdict: { verdict: "passed" } });
  await run();
  assert.deepEqual(seen, ["a red fox"]);
  assert.deepEqual(events.slice(0, 3), [
    ["claimed", { ...claiming, p_moderates: true }],
    ["claimed", { ...claiming, p_moderates: true, p_verdict: { verdict: "passed" } }],
    "sent",
  ]);
  const line = lines.find(({ event }) => event === "moderation");
  assert.deepEqual([line?.level, line?.job_id, line?.verdict], ["info", jobId, "passed"]);
});

Deno.test("a prompt that the caller knows is judged before the database is asked, where somebody judges", async () => {
  const judged = setting({ verdict: { verdict: "passed" } });
  await judged.run("a red fox");
  assert.deepEqual(judged.seen, ["a red fox"]);
  assert.deepEqual(judged.events.slice(0, 2), [
    ["claimed", { ...claiming, p_moderates: true, p_verdict: { verdict: "passed" } }],
    "sent",
  ]);
  const unjudged = setting({});
  await unjudged.run("a red fox");
  assert.deepEqual(unjudged.events.slice(0, 2), [["claimed", claiming], "sent"]);
});

Deno.test("what the moderation service does not let pass is recorded and not sent, and the prompt is not logged", async () => {
  for (
    const [verdict, written, logged] of [
      [
        { verdict: "refused", categories: ["sexual"] },
        { verdict: "refused", categories: ["sexual"] },
        { level: "info", categories: ["sexual"] },
      ],
      [
        { verdict: "unavailable", cause: "429", retryAfterSeconds: 3 },
        { verdict: "unavailable", cause: "429", retry_after_seconds: 3 },
        { level: "warn", cause: "429" },
      ],
    ] satisfies [Verdict, object, Record<string, unknown>][]
  ) {
    const { run, events, lines } = setting({ verdict });
    await run();
    assert.deepEqual(events, [
      ["claimed", { ...claiming, p_moderates: true }],
      ["claimed", { ...claiming, p_moderates: true, p_verdict: written }],
    ]);
    const line = lines.find(({ event }) => event === "moderation");
    for (const [name, value] of Object.entries(logged)) assert.deepEqual(line?.[name], value, name);
    assert(!JSON.stringify(lines).includes("red fox"));
  }
});

Deno.test("an answer that the database was away for is recorded when it is back, and sent once", async () => {
  const away = new AppError("ERR_6001");
  const { run, events, pauses, sent } = setting({ unrecorded: { times: 2, error: away } });
  await run();
  assert.deepEqual(pauses, [500, 1_000]);
  assert.deepEqual([sent.length, events.length], [1, 2 + 3]);

  const gone = setting({ unrecorded: { times: 7, error: away } });
  await assert.rejects(gone.run(), away);
  assert.equal(gone.sent.length, 1);
  const broken = setting({ unrecorded: { times: 1, error: new AppError("ERR_6003") } });
  await assert.rejects(broken.run(), { code: "ERR_6003" });
  assert.deepEqual(broken.pauses, [], "a bug is not repeated");
});

Deno.test("who does not take a job is followed by another provider at once, each asked once", async () => {
  const { log } = recordingLogger();
  const asked: string[] = [];
  const offered: unknown[] = [];
  const turnsAway = (name: string) =>
    fakeProvider({
      name,
      submit: () => {
        asked.push(name);
        return Promise.resolve({ outcome: "not_accepted", cause: "429", retryAfterSeconds: null });
      },
    });
  await submitVideo(jobId, {
    log,
    moderation: null,
    uploads: fakeStorage(),
    storage: fakeStorage(),
    providers: fakeProviders(turnsAway("fal"), turnsAway("runway"), turnsAway("replicate")),
    config: { publicFunctionsUrl: "https://project.example.com/functions/v1", webhookSecret },
    ...fakeDatabase({
      claim_submission: ({ p_providers }) => {
        offered.push(p_providers);
        return { ...claim, provider: p_providers?.[0] };
      },
      // Of the last one nobody else is left.
      record_submission: () => ({ status: "pending", has_others: asked.length < 2 }),
    }),
  }, { pause: () => Promise.resolve() });
  assert.deepEqual(asked, ["fal", "runway"]);
  assert.deepEqual(offered, [["fal", "runway", "replicate"], ["runway", "replicate"]]);
});

Deno.test("a job's picture is signed once for as long as it may wait, judged with the prompt, and sent as it was judged", async () => {
  const path = "u/1/copy.jpg";
  const url = `https://storage.example.com/${path}?expires=900`;
  const image = { claimed: false, image_path: path, image_seconds: 900 };
  for (const prompt of [claim.prompt, undefined]) {
    const { log } = recordingLogger();
    const uploads = fakeStorage();
    uploads.files.set(path, { content: new Uint8Array(1), contentType: "image/jpeg" });
    const judged: unknown[] = [];
    const sent: unknown[] = [];
    const asked: unknown[] = [];
    await submitVideo(jobId, {
      log,
      uploads,
      storage: fakeStorage(),
      moderation: {
        judge: (...given) => {
          judged.push(given);
          return Promise.resolve({ verdict: "passed" });
        },
      },
      providers: fakeProviders(fakeProvider({
        submit: ({ imageUrl }) => {
          sent.push(imageUrl);
          return Promise.resolve({ outcome: "unknown", cause: "a test" });
        },
      })),
      config: { publicFunctionsUrl: "https://project.example.com/functions/v1", webhookSecret },
      ...fakeDatabase({
        claim_submission: ({ p_has_files }) => {
          asked.push(p_has_files);
          return p_has_files ? claim : { ...image, ...(prompt === undefined ? {} : { prompt }) };
        },
        record_submission: () => ({ status: "processing", has_others: false }),
      }),
    });
    // The second time the database remembers that it was let pass.
    assert.deepEqual(judged, prompt === undefined ? [] : [[prompt, url]]);
    assert.deepEqual([asked, sent], [[undefined, true], [url]]);
  }
});

Deno.test("a video and pictures of ours reach the provider as URLs, and each picture is judged with all that was written", async () => {
  const id = "0190a000-0000-7000-8000-0000000000e1";
  const files = { content: new Uint8Array(1), contentType: "image/jpeg" };
  const [uploads, storage] = [fakeStorage(), fakeStorage()];
  for (const path of ["a/one.jpg", "a/two.jpg"]) uploads.files.set(path, files);
  storage.files.set("a/video.mp4", files);
  const url = (path: string) => `https://storage.example.com/${path}?expires=900`;
  for (const verdicts of [["passed", "passed"], ["passed", "refused"]] as const) {
    const left = [...verdicts];
    const judged: unknown[] = [];
    const sent: unknown[] = [];
    const told: unknown[] = [];
    await submitVideo(jobId, {
      log: recordingLogger().log,
      uploads,
      storage,
      moderation: {
        judge: (...given) => {
          judged.push(given);
          const verdict = left.shift();
          return Promise.resolve(
            verdict === "passed" ? { verdict } : { verdict: "refused", categories: ["violence"] },
          );
        },
      },
      providers: fakeProviders(fakeProvider({
        submit: ({ imageUrl, videoUrl, fields }) => {
          sent.push([imageUrl, videoUrl, fields]);
          return Promise.resolve({ outcome: "unknown", cause: "a test" });
        },
      })),
      config: { publicFunctionsUrl: "https://project.example.com/functions/v1", webhookSecret },
      ...fakeDatabase({
        claim_submission({ p_has_files, p_verdict }) {
          told.push(p_verdict);
          if (!p_has_files) {
            return {
              claimed: false,
              prompt: "all that was written",
              image_path: "a/one.jpg",
              source_path: "a/video.mp4",
              picture_paths: { [id]: "a/two.jpg" },
              image_seconds: 900,
              files_seconds: 900,
            };
          }
          return verdicts[1] === "passed"
            ? { ...claim, fields: { end: id, more: [id, "b"], seed: 1 } }
            : { claimed: false };
        },
        record_submission: () => ({ status: "processing", has_others: false }),
      }),
    });
    assert.deepEqual(judged, [["all that was written", url("a/one.jpg")], [
      "all that was written",
      url("a/two.jpg"),
    ]]);
    assert.equal((told[1] as { verdict: string }).verdict, verdicts[1]);
    assert.deepEqual(
      sent,
      verdicts[1] === "refused" ? [] : [[url("a/one.jpg"), url("a/video.mp4"), {
        end: url("a/two.jpg"),
        more: [url("a/two.jpg"), "b"],
        seed: 1,
      }]],
    );
  }
});

const picture = await Deno.readFile(new URL("images/fixtures/orientation-6.jpg", import.meta.url));
const page = (status: string, body: Uint8Array = new Uint8Array()) => ({
  pieces: [`HTTP/1.1 ${status}\r\nContent-Length: ${body.length}\r\n\r\n`, body],
});

/** A job that is made from what an address leads to. */
async function submitFromUrl(given: {
  answers: FakeWorld["answers"] & object;
  recorded?: (outcome: Record<string, unknown>) => object;
  storage?: Parameters<typeof fakeStorage>[0];
}) {
  const { log, lines } = recordingLogger();
  const events: unknown[] = [];
  const uploads = fakeStorage(given.storage);
  const { recorded = ({ path }) => ({ image_path: path, image_seconds: 900 }) } = given;
  const web = fakeWeb({ names: { "a.example.com": ["93.184.215.14"] }, ...given });
  await submitVideo(jobId, {
    ...{ log, uploads, storage: fakeStorage() },
    fetchImage: (image) => fetchImage(image, { web, uploads }),
    moderation: {
      judge: (_, imageUrl) => {
        events.push(["judged", imageUrl]);
        return Promise.resolve({ verdict: "passed" });
      },
    },
    providers: fakeProviders(fakeProvider({
      submit: ({ imageUrl }) => {
        events.push(["sent", imageUrl]);
        return Promise.resolve({ outcome: "unknown", cause: "a test" });
      },
    })),
    config: { publicFunctionsUrl: "https://project.example.com/functions/v1", webhookSecret },
    ...fakeDatabase({
      claim_submission: ({ p_has_files }) =>
        p_has_files ? claim : {
          ...{ claimed: false, prompt: claim.prompt, image_url: "https://a.example.com/fox.jpg?token=1" },
          ...{ image_folder: "u/1", image_upload_id: "0190a000-0000-7000-8000-0000000000dd" },
        },
      record_image: ({ p_job_id, p_upload_id, p_outcome }) => {
        events.push(["kept", p_job_id, p_upload_id, Object(p_outcome).outcome]);
        return recorded(Object(p_outcome));
      },
      record_submission: () => ({ status: "processing", has_others: false }),
    }),
  });
  const line = lines.find(({ event }) => event === "image");
  assert(!JSON.stringify(lines).includes("example.com/fox"), "no address is logged");
  return { events, files: [...uploads.files.keys()], web, line };
}

Deno.test("what an address leads to is fetched once, and the copy of it is judged and sent", async () => {
  const { events, files, web, line } = await submitFromUrl({ answers: [page("200 OK", picture)] });
  const [path = ""] = files;
  assert.match(path, /^u\/1\/[\w-]{36}\.jpg$/);
  const url = `https://storage.example.com/${path}?expires=900`;
  const upload = "0190a000-0000-7000-8000-0000000000dd";
  assert.deepEqual(events, [["kept", jobId, upload, "kept"], ["judged", url], ["sent", url]]);
  assert.deepEqual(web.events, [
    "resolve a.example.com",
    "connect 93.184.215.14 a.example.com",
    "GET /fox.jpg?token=1 HTTP/1.1",
  ]);
  assert.deepEqual([line?.level, line?.outcome, line?.job_id], ["info", "kept", jobId]);
});

Deno.test("of two copies the first that was recorded is judged and sent", async () => {
  const uploaded = await submitFromUrl({
    answers: [page("200 OK", picture)],
    // Another worker's: here it is not in storage.
    recorded: () => ({ image_path: "u/1/first.jpg", image_seconds: 900 }),
  }).catch((error) => error);
  assert.equal(uploaded.code, "ERR_6002", "and not the second");
});

Deno.test("a picture that is not to be had, or of no use, is recorded, and nothing is judged or sent", async () => {
  const cases = [
    [page("404 Not Found"), "unusable", "missing"],
    [page("200 OK", new TextEncoder().encode("<html>")), "unusable", "not_an_image"],
    [page("503 Busy"), "unavailable", undefined],
    [new Error("refused"), "unavailable", undefined],
  ] as const;
  for (const [answer, outcome, reason] of cases) {
    const outcomes: Record<string, unknown>[] = [];
    const { events, files } = await submitFromUrl({
      answers: [answer, answer, answer],
      recorded: (recorded) => {
        outcomes.push(recorded);
        return {};
      },
    });
    assert.deepEqual([outcomes.length, outcomes[0]?.outcome, outcomes[0]?.reason], [1, outcome, reason]);
    assert.deepEqual([events.length, files], [1, []]);
  }
});

Deno.test("where our storage is away or full nothing is recorded of the picture: the task comes again", async () => {
  let recorded = 0;
  const failing = submitFromUrl({
    answers: [page("200 OK", picture)],
    recorded: () => ({ ...{ n: recorded += 1 } }),
    storage: { upload: () => Promise.reject(new AppError("ERR_6002")) },
  });
  await assert.rejects(failing, { code: "ERR_6002" });
  assert.equal(recorded, 0);
});
