import assert from "node:assert/strict";
import { AppError } from "../errors/app-error.ts";
import type { ClaimedSubmission } from "../database/generation.ts";
import type { Verdict } from "./moderation/moderation.ts";
import type { Generation, SubmitOutcome } from "./providers/provider.ts";
import { verifyWebhookToken } from "./providers/webhook-token.ts";
import { recordingLogger } from "../testing/log.ts";
import { fakeModeration } from "../testing/moderation.ts";
import { fakeProvider, fakeProviders } from "../testing/provider.ts";
import { jobId, ownerReference } from "../testing/tasks.ts";
import { submitVideo } from "./submit.ts";

const webhookSecret = "a secret of thirty-two characters";
const claim: ClaimedSubmission = {
  submissionId: "0190a000-0000-7000-8000-0000000000cc",
  ownerReference,
  provider: "fal",
  generation: {
    providerModel: "fal-ai/veo3/fast",
    prompt: "a red fox",
    durationSeconds: 8,
    resolution: "720p",
    aspectRatio: "16:9",
    imageUrl: null,
  },
};
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
  let isModerated = given.verdict === undefined;
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
    providers: fakeProviders(fal),
    config: { publicFunctionsUrl: "https://project.example.com/functions/v1", webhookSecret: secret },
    generation: {
      claimSubmission: (jobId: string, { providers }: { providers: readonly string[] }) => {
        events.push(["claimed", jobId, ...providers]);
        return Promise.resolve(isModerated ? claimed : { prompt: claim.generation.prompt });
      },
      recordModeration: (...recorded: unknown[]) => {
        events.push(["moderated", ...recorded]);
        isModerated = true;
        return Promise.resolve({ status: "pending" as const });
      },
      recordSubmission: (...recorded: unknown[]) => {
        events.push(["recorded", ...recorded]);
        failures -= 1;
        if (given.unrecorded !== undefined && failures >= 0) return Promise.reject(given.unrecorded.error);
        return Promise.resolve({ status: "processing" as const, has_others: false });
      },
    },
  };
  const pauses: number[] = [];
  const pause = (milliseconds: number) => Promise.resolve(void pauses.push(milliseconds));
  return { events, sent, lines, seen, pauses, run: () => submitVideo(jobId, context, pause) };
}

Deno.test("a job is claimed, then sent, then its answer recorded", async () => {
  const { run, events } = setting({});
  await run();
  assert.deepEqual(events, [
    ["claimed", jobId, "fal"],
    "sent",
    ["recorded", claim.submissionId, accepted, { reportsStart: true, pollSeconds: 2, providers: ["fal"] }],
  ]);
});

Deno.test("what is not claimed is not sent", async () => {
  const { run, events } = setting({ claimed: null });
  await run();
  assert.deepEqual(events, [["claimed", jobId, "fal"]]);
});

Deno.test("the provider gets the generation, and a webhook URL that proves this submission and names its owner", async () => {
  const { run, sent } = setting({});
  await run();
  const { webhookUrl, ...generation } = sent[0] ?? {};
  assert.deepEqual(generation, claim.generation);
  const url = new URL(webhookUrl ?? "");
  assert.equal(url.origin + url.pathname, "https://project.example.com/functions/v1/provider-webhook");
  const { owner, provider = "", submission_id = "", token = "" } = Object.fromEntries(url.searchParams);
  assert.deepEqual([owner, provider, submission_id], [ownerReference, "fal", claim.submissionId]);
  assert(await verifyWebhookToken(webhookSecret, provider, submission_id, token));
});

Deno.test("a provider without webhooks is given no URL", async () => {
  const { run, sent } = setting({ webhook: false });
  await run();
  assert.equal(sent[0]?.webhookUrl, null);
});

Deno.test("without the secret no provider is offered, since no webhook could be believed", async () => {
  const { run, events } = setting({ secret: null, claimed: null });
  await run();
  assert.deepEqual(events, [["claimed", jobId]]);
});

Deno.test("whatever the provider answers is recorded as it is, and logged without the prompt", async () => {
  const failure = { code: "ERR_4003", details: { reason: "provider_policy" }, cause: "policy" } as const;
  const outcomes: [SubmitOutcome, Record<string, unknown>][] = [
    [accepted, { level: "info", outcome: "accepted" }],
    [{ outcome: "unknown", cause: "no answer in time" }, { level: "warn", cause: "no answer in time" }],
    [{ outcome: "not_accepted", cause: "429", retryAfterSeconds: 3 }, { level: "warn", cause: "429" }],
    [{ outcome: "refused", failure }, { level: "warn", code: "ERR_4003", cause: "policy" }],
  ];
  for (const [outcome, logged] of outcomes) {
    const { run, events, lines } = setting({ submit: () => Promise.resolve(outcome) });
    await run();
    const [, , recorded] = events;
    assert(Array.isArray(recorded));
    assert.deepEqual(recorded.slice(0, 3), ["recorded", claim.submissionId, outcome]);
    const line = lines.find(({ event }) => event === "submission") ?? {};
    const facts = { job_id: jobId, submission_id: claim.submissionId, provider: "fal", ...logged };
    for (const [name, value] of Object.entries(facts)) assert.equal(line[name], value, name);
    assert(!JSON.stringify(lines).includes("red fox"));
  }
});

Deno.test("an adapter that throws proves nothing: the outcome is unknown", async () => {
  const { run, events } = setting({ submit: () => Promise.reject(new Error("a bug")) });
  await run();
  const [, , recorded] = events;
  assert(Array.isArray(recorded));
  assert.deepEqual(recorded[2], { outcome: "unknown", cause: "a bug" });
});

Deno.test("a prompt that the moderation service lets pass is claimed after it, and sent", async () => {
  const { run, events, seen, lines } = setting({ verdict: { verdict: "passed" } });
  await run();
  assert.deepEqual(seen, ["a red fox"]);
  assert.deepEqual(events.slice(0, 4), [
    ["claimed", jobId, "fal"],
    ["moderated", jobId, { verdict: "passed" }],
    ["claimed", jobId, "fal"],
    "sent",
  ]);
  const line = lines.find(({ event }) => event === "moderation");
  assert.deepEqual([line?.level, line?.job_id, line?.verdict], ["info", jobId, "passed"]);
});

Deno.test("what the moderation service does not let pass is recorded and not sent, and the prompt is not logged", async () => {
  for (
    const [verdict, logged] of [
      [{ verdict: "refused", categories: ["sexual"] }, { level: "info", categories: ["sexual"] }],
      [{ verdict: "unavailable", cause: "429", retryAfterSeconds: 3 }, { level: "warn", cause: "429" }],
    ] satisfies [Verdict, Record<string, unknown>][]
  ) {
    const { run, events, lines } = setting({ verdict });
    await run();
    assert.deepEqual(events, [["claimed", jobId, "fal"], ["moderated", jobId, verdict]]);
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
  const offered: (readonly string[])[] = [];
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
    providers: fakeProviders(turnsAway("fal"), turnsAway("runway"), turnsAway("replicate")),
    config: { publicFunctionsUrl: "https://project.example.com/functions/v1", webhookSecret },
    generation: {
      claimSubmission: (_jobId, { providers }) => {
        offered.push(providers);
        return Promise.resolve({ ...claim, provider: providers[0] ?? "" });
      },
      recordModeration: () => Promise.reject(new Error("nobody is asked")),
      // Of the last one nobody else is left.
      recordSubmission: () => Promise.resolve({ status: "pending", has_others: asked.length < 2 }),
    },
  }, () => Promise.resolve());
  assert.deepEqual(asked, ["fal", "runway"]);
  assert.deepEqual(offered, [["fal", "runway", "replicate"], ["runway", "replicate"]]);
});
