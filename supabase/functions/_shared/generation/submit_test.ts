import assert from "node:assert/strict";
import type { ClaimedSubmission } from "../database/generation.ts";
import type { Generation, SubmitOutcome } from "../providers/provider.ts";
import { verifyWebhookToken } from "../providers/webhook-token.ts";
import { recordingLogger } from "../testing/log.ts";
import { fakeProvider, fakeProviders } from "../testing/provider.ts";
import { jobId } from "../testing/tasks.ts";
import { submitVideo } from "./submit.ts";

const webhookSecret = "a secret of thirty-two characters";
const claim: ClaimedSubmission = {
  submissionId: "0190a000-0000-7000-8000-0000000000cc",
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
}) {
  const { claimed = claim, submit = () => Promise.resolve(accepted), secret = webhookSecret } = given;
  const { log, lines } = recordingLogger();
  const events: unknown[] = [];
  const sent: Generation[] = [];
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
    providers: fakeProviders(fal),
    config: { publicFunctionsUrl: "https://project.example.com/functions/v1", webhookSecret: secret },
    generation: {
      claimSubmission: (jobId: string, providers: readonly string[]) => {
        events.push(["claimed", jobId, ...providers]);
        return Promise.resolve(claimed);
      },
      recordSubmission: (...recorded: unknown[]) => {
        events.push(["recorded", ...recorded]);
        return Promise.resolve({ status: "processing" as const });
      },
    },
  };
  return { events, sent, lines, run: () => submitVideo(jobId, context) };
}

Deno.test("a job is claimed, then sent, then its answer recorded", async () => {
  const { run, events } = setting({});
  await run();
  assert.deepEqual(events, [
    ["claimed", jobId, "fal"],
    "sent",
    ["recorded", claim.submissionId, accepted, { reportsStart: true, pollSeconds: 2 }],
  ]);
});

Deno.test("what is not claimed is not sent", async () => {
  const { run, events } = setting({ claimed: null });
  await run();
  assert.deepEqual(events, [["claimed", jobId, "fal"]]);
});

Deno.test("the provider gets the generation, and a webhook URL that proves this submission", async () => {
  const { run, sent } = setting({});
  await run();
  const { webhookUrl, ...generation } = sent[0] ?? {};
  assert.deepEqual(generation, claim.generation);
  const url = new URL(webhookUrl ?? "");
  assert.equal(url.origin + url.pathname, "https://project.example.com/functions/v1/provider-webhook");
  const { provider = "", submission_id = "", token = "" } = Object.fromEntries(url.searchParams);
  assert.deepEqual([provider, submission_id], ["fal", claim.submissionId]);
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
