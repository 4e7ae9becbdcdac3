/** What every adapter promises, whoever the provider is: `provider.ts`, held against each provider's simulator. */
import assert from "node:assert/strict";
import { openMedia, UnusableResult } from "../../supabase/functions/_shared/videos/media.ts";
import { NeedsOperator } from "../../supabase/functions/_shared/queue/task.ts";
import { readMp4 } from "../../supabase/functions/_shared/videos/mp4.ts";
import type { SubmitOutcome } from "../../supabase/functions/_shared/videos/providers/provider.ts";
import { holdPorts } from "../../local/ports.ts";
import { patience } from "../../local/testing/patience.ts";
import { eventually } from "./eventually.ts";
import { type Contract, type Rule, startContract, subjects } from "./support/provider-contract.ts";
import { endings, failureOf, minute } from "./support/provider-endings.ts";

/** A fetch that gives up as an adapter does whose time is up, as soon as the request has `arrived`. */
const impatient = (arrived: () => Promise<unknown>): typeof fetch => (input, init) => {
  const timeout = new AbortController();
  void arrived().then(() => timeout.abort(new DOMException("Signal timed out.", "TimeoutError")));
  const { signal } = timeout;
  return fetch(input, { ...init, signal: init?.signal ? AbortSignal.any([init.signal, signal]) : signal });
};

interface Submission {
  readonly rule: Rule;
  readonly outcome: SubmitOutcome["outcome"];
  /** How many generations the provider has afterwards. */
  readonly jobs: 0 | 1;
  readonly retryAfterSeconds?: number;
  /** Whether its caller's time is up before there is an answer. */
  readonly isGivenUp?: boolean;
}

const submissions: Readonly<Record<string, Submission>> = {
  "it is accepted": { rule: {}, outcome: "accepted", jobs: 1 },
  "it is accepted, slowly": {
    ...{ rule: { submit: "slow", submitMilliseconds: 50 }, outcome: "accepted", jobs: 1 },
  },
  "its input is refused": { rule: { submit: "refused" }, outcome: "refused", jobs: 0 },
  "there were too many": { rule: { submit: "rate_limited" }, outcome: "not_accepted", jobs: 0 },
  "there were too many, for 9 seconds": {
    ...{ rule: { submit: "rate_limited", retryAfterSeconds: 9 }, outcome: "not_accepted", jobs: 0 },
    retryAfterSeconds: 9,
  },
  "our account is locked": { rule: { submit: "locked" }, outcome: "not_accepted", jobs: 0 },
  "the provider says that it is overloaded": {
    ...{ rule: { submit: "error", status: 503 }, outcome: "not_accepted", jobs: 0 },
  },
  "a gateway says that it is overloaded": {
    ...{ rule: { submit: "error", status: 503, ownBody: false }, outcome: "unknown", jobs: 0 },
  },
  "the provider fails": { rule: { submit: "error", status: 500 }, outcome: "unknown", jobs: 0 },
  "a gateway gives up waiting": {
    ...{ rule: { submit: "error", status: 504, ownBody: false }, outcome: "unknown", jobs: 0 },
  },
  "the connection breaks before it is accepted": { rule: { submit: "reset" }, outcome: "unknown", jobs: 0 },
  "the connection breaks after it was accepted": {
    ...{ rule: { submit: "answer_lost" }, outcome: "unknown", jobs: 1 },
  },
  "the time is up before it is accepted": {
    ...{ rule: { submit: "stalled", submitMilliseconds: minute }, outcome: "unknown", jobs: 0 },
    isGivenUp: true,
  },
  "the time is up after it was accepted": {
    ...{ rule: { submit: "slow", submitMilliseconds: minute }, outcome: "unknown", jobs: 1 },
    isGivenUp: true,
  },
  "the answer has no id": { rule: { submit: "malformed_answer" }, outcome: "unknown", jobs: 1 },
  "the answer leads elsewhere": { rule: { submit: "redirected" }, outcome: "unknown", jobs: 0 },
};

/** Whether there is a whole MP4 at a result's URL. Throws UnusableResult for what will never be one. */
async function isVideo({ provider }: Contract, url: string): Promise<boolean> {
  const hosts = provider.capabilities.resultHosts;
  const signal = AbortSignal.timeout(patience);
  const media = await openMedia(fetch, url, { provider: name, hosts, maxBytes: 10_000_000, signal });
  const reader = readMp4();
  for await (const chunk of media) if (!reader.push(chunk)) return false;
  return reader.finish() !== null;
}

for (const subject of subjects) {
  const { name } = subject;

  Deno.test(`${name}: what a submission meets decides whether it may be sent again, and it is sent once`, async () => {
    await using contract = await startContract(subject);
    const { simulator: { control } } = contract;
    for (
      const [meeting, { rule, outcome, jobs, retryAfterSeconds = null, isGivenUp }] of Object.entries(
        submissions,
      )
    ) {
      await control.reset();
      const before = (await control.report()).jobs.length;
      await control.rules(rule);
      const arrived = () =>
        eventually("the request arrives", async () => {
          const report = await control.report();
          return report.requests.length > 0 ? report : undefined;
        });
      const adapter = contract.adapter(isGivenUp ? { fetch: impatient(arrived) } : {});
      const result = await adapter.submit(contract.generation());
      assert.equal(result.outcome, outcome, `${meeting}: ${JSON.stringify(result)}`);
      assert(!JSON.stringify(result).includes("secret"), `${meeting}: nothing of the prompt is logged`);
      if (result.outcome === "not_accepted") {
        assert.equal(result.retryAfterSeconds, retryAfterSeconds, meeting);
      }
      if (result.outcome === "refused") {
        assert.deepEqual([result.failure.code, result.failure.details], ["ERR_5003", { reason: "rejected" }]);
      }
      const report = await arrived();
      assert.equal(report.jobs.length - before, jobs, meeting);
      assert.deepEqual(
        // The receiver of an earlier case's webhook may still ask for the keys that it was signed with.
        report.requests.filter(({ path }) => !path.endsWith("jwks.json"))
          .map(({ host, method, authorization }) => [host === "media", method, authorization]),
        [[false, "POST", "ours"]],
        `${meeting}: one request, to the API`,
      );
    }
  });

  Deno.test(`${name}: nobody has a submission that found no connection`, async () => {
    await using contract = await startContract(subject);
    using unused = holdPorts();
    for (const apiUrl of [`http://127.0.0.1:${unused.take()}`, "http://provider.invalid"]) {
      const nobody = contract.adapter({ apiUrl });
      assert.deepEqual(await nobody.submit(contract.generation()), {
        outcome: "not_accepted",
        cause: "no connection",
        retryAfterSeconds: null,
      });
      const { providerModel } = subject.generation;
      assert.equal((await nobody.poll("some-id", {}, providerModel)).state, "unreachable");
      assert.equal((await nobody.cancel("some-id", {}, providerModel)).outcome, "unreachable");
    }
  });

  Deno.test(`${name}: without our key the provider neither takes nor tells anything`, async () => {
    await using contract = await startContract(subject);
    const { requestId } = await contract.submit();
    const { providerModel } = subject.generation;
    const stranger = contract.adapter({ key: "another" });
    assert.equal((await stranger.submit(contract.generation())).outcome, "not_accepted");
    assert.equal((await stranger.poll(requestId, {}, providerModel)).state, "unreachable");
    assert.equal((await stranger.cancel(requestId, {}, providerModel)).outcome, "unreachable");
  });

  Deno.test(`${name}: a generation waits, runs, and results in a video at a host that is allowed`, async () => {
    await using contract = await startContract(subject, {
      queueMilliseconds: minute,
      runMilliseconds: minute,
    });
    const { poll } = await contract.submit();
    assert.deepEqual(await poll(), { state: "queued" });
    await contract.simulator.control.elapse(minute);
    const running = await poll();
    assert(running.state === "running");
    assert(running.percent === null || (running.percent >= 0 && running.percent <= 100));
    await contract.simulator.control.elapse(minute);
    const state = await poll();
    assert(state.state === "succeeded");
    assert.equal(await isVideo(contract, state.videoUrl), true);
    const { requests } = await contract.simulator.control.report();
    const media = requests.filter(({ host }) => host === "media");
    assert.deepEqual(media.map(({ authorization }) => authorization), ["none"], "the key stays at the API");
  });

  Deno.test(`${name}: a result that is missing, or something else, is no video`, async () => {
    await using contract = await startContract(subject);
    const urlOf = async (rule: Rule) => {
      const { ended } = await contract.submit(rule);
      const state = await ended();
      assert(state.state === "succeeded");
      return state.videoUrl;
    };
    await assert.rejects(isVideo(contract, await urlOf({ media: "missing" })), /answered 404/);
    await assert.rejects(isVideo(contract, await urlOf({ media: "redirected" })), UnusableResult);
    assert.equal(await isVideo(contract, await urlOf({ media: "not_a_video" })), false);
    const elsewhere = new URL(await urlOf({}));
    elsewhere.hostname = "localhost";
    await assert.rejects(isVideo(contract, elsewhere.href), NeedsOperator);
  });

  Deno.test(`${name}: a generation that fails does so in the terms of our registry`, async () => {
    await using contract = await startContract(subject);
    for (const { rule, ...expected } of endings) {
      const { ended } = await contract.submit(rule);
      assert.deepEqual(failureOf(await ended(), JSON.stringify(rule)), expected);
    }
  });

  Deno.test(`${name}: an answer that is not the provider's says nothing, and the next one tells`, async () => {
    await using contract = await startContract(subject);
    // Each question is asked three times.
    const { poll, cancel } = await contract.submit({ pollFailures: 9 });
    assert.equal((await poll()).state, "unreachable");
    assert.equal((await cancel()).outcome, "unreachable");
    assert.equal((await poll()).state, "unreachable");
    assert.equal((await poll()).state, "succeeded");
  });

  Deno.test(`${name}: what the provider does not know is not found`, async () => {
    await using contract = await startContract(subject);
    const { providerModel } = subject.generation;
    const id = crypto.randomUUID();
    assert.deepEqual(await contract.provider.poll(id, {}, providerModel), { state: "not_found" });
    assert.deepEqual(await contract.provider.cancel(id, {}, providerModel), { outcome: "not_found" });
  });

  Deno.test(`${name}: a cancellation ends what goes on, and touches nothing that has ended`, async () => {
    await using contract = await startContract(subject);
    const goingOn: Rule[] = [{ queueMilliseconds: minute }, { outcome: "never" }];
    for (const rule of goingOn) {
      const { cancel, poll } = await contract.submit(rule);
      assert.equal((await poll()).state, rule.outcome === "never" ? "running" : "queued");
      assert.equal((await cancel()).outcome, subject.cancelOutcome);
      const { state } = await poll();
      assert(state === "cancelled" || state === "not_found", state);
      const { outcome } = await cancel();
      assert(["cancelled", "too_late", "not_found"].includes(outcome), `once more: ${outcome}`);
    }

    const succeeded = await contract.submit();
    await succeeded.ended();
    assert.deepEqual(await succeeded.cancel(), { outcome: "too_late" });
    const state = await succeeded.poll();
    assert(state.state === "succeeded", "its video is still there");
    assert.equal(await isVideo(contract, state.videoUrl), true);

    const failed = await contract.submit({ outcome: "failed" });
    await failed.ended();
    assert.deepEqual(await failed.cancel(), { outcome: "too_late" });
    assert.equal((await failed.poll()).state, "failed");
  });
}
