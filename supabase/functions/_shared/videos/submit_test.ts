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
import { claim, jobId, ownerReference, webhookSecret } from "../testing/tasks.ts";
import { submitVideo } from "./submit.ts";
import { fakeStorage } from "../testing/storage.ts";

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
