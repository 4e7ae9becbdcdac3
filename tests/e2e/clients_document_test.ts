/** The code of docs/clients.md, as an app has it, against the real backend. */
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import type { SupabaseClient } from "@supabase/supabase-js";
import type { Deed } from "../../local/simulators/app-store/deeds.ts";
import { deviceToken } from "../../local/simulators/device-check/device-check.ts";
import { fences, readDocument } from "../contract/documents.ts";
import { errorMessages } from "../../supabase/functions/_shared/errors/error-messages.ts";
import { newClient, startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import { kling, priceOfKling } from "./support/videos.ts";

/** What of the guide's code is called here; its types are checked by tests/contract. */
interface Guide {
  connect(url: string, publishableKey: string, language: string): SupabaseClient;
  start(supabase: SupabaseClient, newDeviceToken: () => Promise<string>): Promise<{
    user_id: string;
    credits_remaining: number;
    initial_grant: { status: string };
  }>;
  generate(
    supabase: SupabaseClient,
    intention: { key: string; request: object },
    signal?: AbortSignal,
  ): Promise<{
    job_id: string;
    credits_remaining: number;
  }>;
  watch(
    supabase: SupabaseClient,
    jobId: string,
    show: (job: unknown) => void,
    signal?: AbortSignal,
  ): Promise<{
    status: string;
    video_url: string | null;
  }>;
  present(
    supabase: SupabaseClient,
    transaction: { signed: string; finish(): Promise<void> },
  ): Promise<{ status: string; credits_remaining: number } | null>;
  becomeSomebody(
    supabase: SupabaseClient,
    beside: SupabaseClient,
    identity: { token: string; nonce: string },
  ): Promise<"linked" | "merged">;
  closeAccount(supabase: SupabaseClient): Promise<void>;
}

const backend = shared(startBackend);

let guide: Guide;
let code: string;

Deno.test.beforeAll(async () => {
  code = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(code, fences(await readDocument("docs/clients.md"), "ts").join("\n"));
  guide = await import(pathToFileURL(code).href);
});
Deno.test.afterAll(async () => {
  await Deno.remove(code);
});

Deno.test("the guide's code makes a guest, a video and its end, and pays once when an answer is lost", async () => {
  let lost = 0;
  // A client that never sees the first answer to generate-video, which the backend has given.
  const supabase = newClient(backend.stack, async (input, init) => {
    const response = await fetch(input, init);
    if (!String(input).includes("generate-video") || lost > 0) return response;
    lost++;
    await response.body?.cancel();
    throw new TypeError("The connection was lost");
  });
  const phone = `a phone ${crypto.randomUUID()}`;
  const check = await guide.start(supabase, () => Promise.resolve(deviceToken(phone)));
  assert.equal(check.initial_grant.status, "granted");

  const request = { model_id: kling, prompt: "A fox that is paid once" };
  const accepted = await guide.generate(supabase, { key: crypto.randomUUID(), request });
  assert.deepEqual([lost, accepted.credits_remaining], [1, check.credits_remaining - priceOfKling]);

  const shown: unknown[] = [];
  const job = await guide.watch(supabase, accepted.job_id, (job) => shown.push(job));
  assert.equal(job.status, "completed");
  assert(job.video_url !== null && shown.length > 0);

  const again = await guide.start(supabase, () => Promise.resolve(deviceToken(phone)));
  assert.equal(again.initial_grant.status, "already_claimed");
  assert.equal(again.credits_remaining, check.credits_remaining - priceOfKling);
});

Deno.test("the guide's code finishes a transaction when it is done with, and never before", async () => {
  const { appStore } = backend.stack.simulators;
  const supabase = newClient(backend.stack);
  await guide.start(supabase, () => Promise.resolve(deviceToken(`a phone ${crypto.randomUUID()}`)));
  let finished = 0;
  const present = (signed: string) =>
    guide.present(supabase, { signed, finish: () => Promise.resolve(void finished++) });
  const buy = async (more: Partial<Extract<Deed, { deed: "buy" }>> = {}) => {
    const { signed, transactionId } = await appStore.do({ deed: "buy", productId: "credits_10", ...more });
    assert(signed !== null && transactionId !== null);
    return { signed, transactionId };
  };

  const bought = await buy();
  assert.equal((await present(bought.signed))?.status, "credited");
  assert.equal((await present(bought.signed))?.status, "already_credited");
  assert.equal(finished, 2);

  const { transactionId } = await buy();
  const { signed: revoked } = await appStore.do({ deed: "refund", transactionId });
  const done = {
    revoked: revoked ?? "",
    family_shared: (await buy({ familyShared: true })).signed,
  };
  for (const [reason, signed] of Object.entries(done)) assert.equal(await present(signed), null, reason);
  assert.equal(finished, 4);

  const unknown = await buy({ productId: "credits_of_another_app" });
  const waiting = { unknown_product: unknown.signed, invalid_signature: `${bought.signed.slice(0, -4)}AAAA` };
  for (const [reason, signed] of Object.entries(waiting)) {
    await assert.rejects(present(signed), { code: "ERR_4016", details: { reason } });
  }
  assert.equal(finished, 4, "they come again");
});

Deno.test("the guide's code closes an account, and starts again as another guest", async () => {
  const supabase = newClient(backend.stack);
  const check = () => guide.start(supabase, () => Promise.resolve(deviceToken("a phone that stays")));
  const { user_id: first } = await check();
  await guide.closeAccount(supabase);
  const again = await check();
  assert.notEqual(again.user_id, first);
  assert.deepEqual([again.initial_grant.status, again.credits_remaining], ["already_claimed", 0]);
});

Deno.test("the guide's code gives up at once where trying again is of no use", async () => {
  const supabase = newClient(backend.stack);
  await guide.start(supabase, () => Promise.resolve(deviceToken("a phone of somebody patient")));
  const request = { model_id: crypto.randomUUID(), prompt: "No such model" };
  await assert.rejects(
    guide.generate(supabase, { key: crypto.randomUUID(), request }),
    { code: "ERR_4002", status: 422, details: { model_id: request.model_id } },
  );
});

Deno.test("the guide's start, called twice at once, makes one guest", async () => {
  const supabase = newClient(backend.stack);
  const start = () => guide.start(supabase, () => Promise.resolve(deviceToken("a phone with two screens")));
  const [one, other] = await Promise.all([start(), start()]);
  assert.equal(one.user_id, other.user_id);
  const { data } = await supabase.auth.getUser();
  assert.equal(data.user?.id, one.user_id);
  assert.equal((await start()).user_id, one.user_id);
});

Deno.test("the guide's client is answered in the language that it says", async () => {
  const supabase = guide.connect(backend.stack.url, backend.stack.publishableKey, "tr");
  await guide.start(supabase, () => Promise.resolve(deviceToken("a phone in Turkish")));
  const request = { model_id: crypto.randomUUID(), prompt: "No such model" };
  await assert.rejects(
    guide.generate(supabase, { key: crypto.randomUUID(), request }),
    { message: errorMessages.ERR_4002.tr },
  );
  // What an app keeps; a test leaves nothing behind.
  await supabase.auth.signOut({ scope: "local" });
  await supabase.auth.stopAutoRefresh();
});

Deno.test("the guide's waits end with their signal, whether they wait for an answer or for the next try", async () => {
  const hanging = newClient(backend.stack, async (input, init) => {
    if (!String(input).includes("/functions/v1/")) return await fetch(input, init);
    return await new Promise((_, reject) =>
      init?.signal?.addEventListener("abort", () => reject(init.signal?.reason), { once: true })
    );
  });
  await hanging.auth.signInAnonymously();
  const failing = newClient(backend.stack, async (input, init) => {
    if (!String(input).includes("/functions/v1/")) return await fetch(input, init);
    throw new TypeError("No network");
  });
  await failing.auth.signInAnonymously();
  for (const supabase of [hanging, failing]) {
    const aborted = new AbortController();
    const left = new Error("The app is in the background");
    const waits = [
      guide.watch(supabase, crypto.randomUUID(), () => {}, aborted.signal),
      guide.generate(supabase, { key: crypto.randomUUID(), request: {} }, aborted.signal),
    ].map((wait) => assert.rejects(wait, left));
    await new Promise((resolve) => setTimeout(resolve));
    aborted.abort(left);
    await Promise.all(waits);
    await assert.rejects(guide.watch(supabase, crypto.randomUUID(), () => {}, aborted.signal), left);
  }
});

Deno.test("the guide's code links the first guest's identity, and merges the next one into them", async () => {
  const { stack, database: { sql } } = backend;
  const sub = crypto.randomUUID();
  const become = async (credits: number) => {
    const supabase = newClient(stack);
    const { data: { user } } = await supabase.auth.signInAnonymously();
    await guide.start(supabase, () => Promise.resolve(deviceToken(crypto.randomUUID())));
    await sql`select credits.add_credits(${user?.id ?? null}, ${credits}, 'for a test')`;
    const token = await stack.simulators.appleId.identityToken({ sub, nonce: "n" });
    const outcome = await guide.becomeSomebody(supabase, newClient(stack), { token, nonce: "n" });
    const { data } = await supabase.functions.invoke("user-profile", { method: "GET" });
    return {
      outcome,
      id: data.user_id,
      guest: user?.id,
      credits: data.credits_remaining,
      is_guest: data.is_guest,
    };
  };
  const first = await become(3);
  assert.deepEqual([first.outcome, first.id, first.is_guest], ["linked", first.guest, false]);
  const second = await become(4);
  assert.deepEqual([second.outcome, second.id, second.is_guest], ["merged", first.id, false]);
  assert.equal(second.credits, first.credits + 4 + (first.credits - 3));
});
