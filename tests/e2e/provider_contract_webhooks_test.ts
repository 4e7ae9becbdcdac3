/** What every adapter promises about its provider's webhooks, held against each provider's simulator. */
import assert from "node:assert/strict";
import { ownerReference } from "../../supabase/functions/_shared/testing/tasks.ts";
import { eventually } from "./eventually.ts";
import { startContract, subjects } from "./support/provider-contract.ts";
import { endings, failureOf, minute } from "./support/provider-endings.ts";

for (const subject of subjects.filter(({ hasWebhook }) => hasWebhook)) {
  const { name } = subject;

  Deno.test(`${name}: a genuine webhook is recorded for its submission, with what a poll tells`, async () => {
    await using contract = await startContract(subject);
    const submissionId = crypto.randomUUID();
    const { requestId, ended } = await contract.submit(undefined, submissionId);
    const state = await ended();
    const [arrival] = await contract.endpoint.arrived(1);
    assert.equal(arrival?.status, 200);
    const [{ eventId = "", ...report } = {}] = contract.endpoint.recorded;
    assert.notEqual(eventId, "");
    assert.deepEqual(report, { ownerReference, provider: name, submissionId, requestId, state });
  });

  Deno.test(`${name}: a webhook tells of a failure as a poll does`, async () => {
    await using contract = await startContract(subject);
    for (const { rule, code } of endings) {
      const { requestId } = await contract.submit(rule);
      const { state } = await eventually(
        "its webhook",
        () => contract.endpoint.recorded.find((report) => report.requestId === requestId),
      );
      // What a provider cannot put into a webhook has to be asked for.
      if (state.state !== "unreachable") assert.equal(failureOf(state, JSON.stringify(rule)).code, code);
    }
  });

  Deno.test(`${name}: a webhook that comes twice, or is played again, is the same event, for 5 minutes`, async () => {
    await using contract = await startContract(subject);
    const { endpoint } = contract;
    await contract.submit({ webhook: "duplicated" });
    const [first] = await endpoint.arrived(2);
    assert(first !== undefined);
    assert.equal(await endpoint.deliver(first), 200);
    assert.equal(endpoint.recorded.length, 3);
    assert.equal(new Set(endpoint.recorded.map(({ eventId }) => eventId)).size, 1);
    endpoint.ahead = 5 * minute + 2_000;
    assert.equal(await endpoint.deliver(first), 401);
    assert.equal(endpoint.recorded.length, 3);
  });

  Deno.test(`${name}: a webhook may be late, or before the answer to its submission`, async () => {
    await using contract = await startContract(subject);
    const { endpoint } = contract;
    const late = await contract.submit({ webhook: "late", webhookMilliseconds: minute });
    await late.ended();
    assert.equal(endpoint.recorded.length, 0, "not there yet");
    await contract.simulator.control.elapse(minute);
    await endpoint.arrived(1);
    const early = await contract.submit({ webhook: "early" });
    assert.deepEqual(endpoint.recorded.map(({ requestId }) => requestId), [late.requestId, early.requestId]);
  });

  Deno.test(`${name}: a webhook that nobody took comes again`, async () => {
    await using contract = await startContract(subject);
    const { endpoint } = contract;
    // Beyond the tolerance nothing is taken.
    endpoint.ahead = 6 * minute;
    await contract.submit();
    await endpoint.arrived(1);
    endpoint.ahead = 0;
    await eventually("it is taken", () => endpoint.recorded[0]);
    assert.equal(endpoint.recorded.length, 1);
  });

  Deno.test(`${name}: a forged webhook, and a genuine one of another account, are refused`, async () => {
    await using contract = await startContract(subject);
    await contract.submit({ webhook: "forged" });
    await contract.submit({ webhook: "other_account" });
    const arrivals = await contract.endpoint.arrived(2);
    assert.deepEqual(arrivals.map(({ status }) => status), [401, 401]);
    assert.deepEqual(contract.endpoint.recorded, []);
  });

  Deno.test(`${name}: a webhook that was altered on its way is refused`, async () => {
    await using contract = await startContract(subject);
    const { endpoint } = contract;
    await contract.submit();
    const [arrival] = await endpoint.arrived(1);
    assert(arrival !== undefined);
    const text = new TextDecoder().decode(arrival.body);
    const body = new TextEncoder().encode(text.replace("output.mp4", "0utput.mp4"));
    assert.notDeepEqual(body, arrival.body);
    assert.equal(await endpoint.deliver(arrival, { body }), 401);
    const proofs = [...arrival.headers.keys()].filter((header) => /webhook-/.test(header));
    assert(proofs.length >= 3);
    for (const proof of proofs) {
      const without: Headers = new Headers(arrival.headers);
      without.delete(proof);
      assert.equal(await endpoint.deliver(arrival, { headers: without }), 401, `without ${proof}`);
    }
    assert.equal(endpoint.recorded.length, 1, "the one that was not altered");
  });

  Deno.test(`${name}: a webhook that is right in all but its token is refused`, async () => {
    await using contract = await startContract(subject);
    const { endpoint } = contract;
    await contract.submit();
    const [arrival] = await endpoint.arrived(1);
    assert(arrival !== undefined);
    const changed = (parameter: string, value: string) => {
      const url = new URL(arrival.url);
      url.searchParams.set(parameter, value);
      return url.href;
    };
    const otherUrl = new URL(endpoint.urlFor(crypto.randomUUID()));
    const otherToken = otherUrl.searchParams.get("token") ?? "";
    assert.equal(otherToken.length, 43);
    const urls = {
      "no token": changed("token", ""),
      "another submission's token": changed("token", otherToken),
      "its token for another submission": changed("submission_id", crypto.randomUUID()),
      "its token for another provider": changed("provider", name === "fal" ? "replicate" : "fal"),
    };
    for (const [what, url] of Object.entries(urls)) {
      assert.equal(await endpoint.deliver(arrival, { url }), 401, what);
    }
    assert.equal(endpoint.recorded.length, 1, "the one that was right");
  });

  Deno.test(`${name}: a webhook about another request names that request, wherever it is sent`, async () => {
    await using contract = await startContract(subject);
    const { endpoint } = contract;
    const ours = await contract.submit();
    const [arrival] = await endpoint.arrived(1);
    assert(arrival !== undefined);
    const otherId = crypto.randomUUID();
    assert.equal(await endpoint.deliver(arrival, { url: endpoint.urlFor(otherId) }), 200);
    // By this the database sees that it is not about the submission.
    const { submissionId, requestId } = endpoint.recorded[1] ?? {};
    assert.deepEqual({ submissionId, requestId }, { submissionId: otherId, requestId: ours.requestId });
  });
}

for (const subject of subjects.filter(({ hasWebhook }) => !hasWebhook)) {
  Deno.test(`${subject.name}: no webhook is its own, whatever its token`, async () => {
    await using contract = await startContract(subject);
    assert.equal(contract.provider.capabilities.webhook, false);
    const url = contract.endpoint.urlFor(crypto.randomUUID());
    const response = await fetch(url, { method: "POST", body: "{}" });
    await response.body?.cancel();
    assert.equal(response.status, 401);
    assert.deepEqual(contract.endpoint.recorded, []);
  });
}
