/** The code of docs/clients.md, as an app has it, against the real backend. */
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import type { SupabaseClient } from "@supabase/supabase-js";
import { Kinora, type Store, type StoreTransaction, type WatchedJob } from "@kinora/client";
import type { Deed } from "../../local/simulators/app-store/deeds.ts";
import { deviceToken } from "../../local/simulators/device-check/device-check.ts";
import { errorMessages } from "../../supabase/functions/_shared/errors/error-messages.ts";
import { fences, readDocument } from "../contract/documents.ts";
import { newClient, startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import { fixture, modelFromPicture } from "./support/uploads.ts";
import { ended, kling, priceOfKling } from "./support/videos.ts";

/** What of the guide's code is called here; its types are checked by tests/contract. */
interface Guide {
  connect(
    url: string,
    publishableKey: string,
    language: string,
    storage?: Store,
  ): { supabase: SupabaseClient; kinora: Kinora };
  begin(kinora: Kinora, newDeviceToken: () => Promise<string>): Promise<number>;
  make(kinora: Kinora, model_id: string, prompt: string, signal?: AbortSignal): Promise<string | null>;
  goOn(kinora: Kinora): Promise<string[]>;
  becomeSomebody(
    supabase: SupabaseClient,
    beside: SupabaseClient,
    identity: { token: string; nonce: string },
  ): Promise<"linked" | "merged">;
  animate(kinora: Kinora, picture: Blob, model_id: string, prompt: string): Promise<string>;
  report(kinora: Kinora, jobId: string, details: string): Promise<void>;
  object(kinora: Kinora, jobId: string, statement: string): Promise<boolean>;
  leave(kinora: Kinora, authorizationCode?: string): Promise<{ product_id: string } | null>;
  makeWithConsent(
    kinora: Kinora,
    request: { model_id: string; prompt: string },
    ask: (processors: string[]) => Promise<boolean>,
  ): Promise<string | null>;
  present(kinora: Kinora, transaction: StoreTransaction): Promise<number | null>;
  follow(
    kinora: Kinora,
    jobId: string,
    show: (job: WatchedJob) => void,
    signal?: AbortSignal,
  ): Promise<Blob | null>;
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

/** What a phone keeps of an app. */
function newStorage(): Store {
  const items = new Map<string, string>();
  return {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
  };
}

/** The app, connected as the guide does it, whose session supabase-js refreshes until it is over. */
async function withApp(
  language: string,
  play: (kinora: Kinora, storage: Store) => Promise<void>,
): Promise<void> {
  const storage = newStorage();
  const { url, publishableKey } = backend.stack;
  const { supabase, kinora } = guide.connect(url, publishableKey, language, storage);
  try {
    await play(kinora, storage);
  } finally {
    await supabase.auth.stopAutoRefresh();
  }
}

Deno.test("the guide's code makes a guest, a video and its file, and goes on after the app was killed", async () => {
  await withApp("en", async (kinora, storage) => {
    const newDeviceToken = () => Promise.resolve(deviceToken("the guide's phone"));
    assert.equal(await guide.begin(kinora, newDeviceToken), 10);

    // Killed as soon as it had sent the request.
    const killed = new AbortController();
    const tapped = guide.make(kinora, kling, "A fox that is paid once", killed.signal);
    while (await storage.getItem("kinora.intentions") === null) {
      await new Promise((resolve) => setTimeout(resolve));
    }
    killed.abort(new Error("killed"));
    await assert.rejects(tapped, { message: "killed" });
    const [jobId, ...others] = await guide.goOn(kinora);
    assert(jobId !== undefined && others.length === 0);

    const stages: string[] = [];
    const video = await guide.follow(kinora, jobId, ({ progress }) => stages.push(progress.stage));
    assert(video !== null && video.size > 0);
    assert.equal(stages.at(-1), "done");
    assert.equal(await guide.begin(kinora, newDeviceToken), 10 - priceOfKling);
    assert.deepEqual(await guide.goOn(kinora), []);
  });
});

Deno.test("the guide's code takes a refusal for an answer, in the app's language", async () => {
  await withApp("tr", async (kinora) => {
    await guide.begin(kinora, () => Promise.resolve(deviceToken("the guide's phone in Turkish")));
    assert.equal(await guide.make(kinora, crypto.randomUUID(), "No such model"), null);
    await assert.rejects(kinora.generate({ model_id: crypto.randomUUID(), prompt: "No such model" }), {
      code: "ERR_4002",
      message: errorMessages.ERR_4002.tr,
    });
    assert.deepEqual(await guide.goOn(kinora), []);
  });
});

Deno.test("the guide's code asks who may get the prompt, and sends nothing before", async () => {
  const { sql } = backend.database;
  const ask = (isAsked: boolean) =>
    sql`update ops.feature_flags set is_enabled = ${isAsked} where key = 'processing_consent'`;
  await ask(true);
  try {
    const { kinora } = await backend.signIn(priceOfKling);
    const request = { model_id: kling, prompt: "A fox that is consented to" };
    const asked: string[][] = [];
    const answerWith = (says: boolean) => (processors: string[]) => {
      asked.push(processors);
      return Promise.resolve(says);
    };
    assert.equal(await guide.makeWithConsent(kinora, request, answerWith(false)), null);
    assert.equal((await kinora.credits()).credits_remaining, priceOfKling);
    assert.notEqual(await guide.makeWithConsent(kinora, request, answerWith(true)), null);
    const { accepted_processors } = await kinora.account.profile();
    assert.deepEqual(asked, [accepted_processors, accepted_processors]);
  } finally {
    await ask(false);
  }
});

Deno.test("the guide's code finishes a transaction when it is done with, and never before", async () => {
  const { appStore } = backend.stack.simulators;
  const { kinora } = await backend.signIn();
  let finished = 0;
  const present = (signed: string) =>
    guide.present(kinora, { signed, finish: () => Promise.resolve(void finished++) });
  const buy = async (more: Partial<Extract<Deed, { deed: "buy" }>> = {}) => {
    const { signed, transactionId } = await appStore.do({ deed: "buy", productId: "credits_10", ...more });
    assert(signed !== null && transactionId !== null);
    return { signed, transactionId };
  };

  const bought = await buy();
  assert.equal(await present(bought.signed), 10);
  assert.equal(await present(bought.signed), 10);
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

Deno.test("the guide's closed account is another guest at the next start", async () => {
  await withApp("en", async (kinora) => {
    const newDeviceToken = () => Promise.resolve(deviceToken("the guide's phone that stays"));
    const first = await kinora.start(newDeviceToken);
    assert.equal(
      await guide.leave(kinora, backend.stack.simulators.appleId.authorizationCode("the guide's")),
      null,
    );
    const again = await kinora.start(newDeviceToken);
    assert.notEqual(again.user_id, first.user_id);
    assert.deepEqual([again.initial_grant.status, again.credits_remaining], ["already_claimed", 0]);
  });
});

Deno.test("the guide's code links the first guest's identity, and merges the next one into them", async () => {
  const { stack, database: { sql } } = backend;
  const sub = crypto.randomUUID();
  const become = async (credits: number) => {
    const supabase = newClient(stack);
    const kinora = new Kinora(supabase);
    const { user_id: guest } = await kinora.start(() => Promise.resolve(deviceToken(crypto.randomUUID())));
    await sql`select credits.add_credits(${guest}, ${credits}, 'for a test')`;
    const token = await stack.simulators.appleId.identityToken({ sub, nonce: "n" });
    const outcome = await guide.becomeSomebody(supabase, newClient(stack), { token, nonce: "n" });
    const { user_id: id, credits_remaining, is_guest } = await kinora.account.profile();
    return { outcome, id, guest, credits: credits_remaining, is_guest };
  };
  const first = await become(3);
  assert.deepEqual([first.outcome, first.id, first.is_guest], ["linked", first.guest, false]);
  const second = await become(4);
  assert.deepEqual([second.outcome, second.id, second.is_guest], ["merged", first.id, false]);
  assert.equal(second.credits, first.credits + 4 + (first.credits - 3));
});

Deno.test("a picture of one's own is brought and becomes a video; one that cannot be used leaves nothing begun", async () => {
  const guest = await backend.signIn(1_000);
  const picture = new Blob([await fixture("phone.jpg")], { type: "image/jpeg" });
  const job_id = await guide.animate(
    guest.kinora,
    picture,
    await modelFromPicture(backend),
    "It comes alive",
  );
  assert.equal((await ended(backend, guest, job_id)).status, "completed");
  const cmyk = new Blob([await fixture("cmyk.jpg")], { type: "image/jpeg" });
  await assert.rejects(guest.kinora.uploads.send(cmyk), { code: "ERR_4019" });
  const uploads = await Array.fromAsync(guest.kinora.uploads.list());
  assert.deepEqual(uploads.map(({ status, width }) => [status, width]), [["ready", 72]]);
  await guest.kinora.uploads.delete(uploads[0]?.upload_id ?? "");
  assert.deepEqual(await Array.fromAsync(guest.kinora.uploads.list()), []);
});

Deno.test("a video is reported, and its removal objected to, once, where there is one", async () => {
  const guest = await backend.signIn(priceOfKling);
  const jobId = await guide.make(guest.kinora, kling, "A neighbour");
  assert(jobId);
  await ended(backend, guest, jobId);
  await guide.report(guest.kinora, jobId, "This is my neighbour");
  assert.equal(await guide.object(guest.kinora, jobId, "It is me"), false);
  const { sql } = backend.database;
  await sql`update videos.jobs set removed_at = core.now() where id = ${jobId}`;
  await sql`update safety.cases set status = 'removed', ground = 'real_person' where job_id = ${jobId}`;
  assert.deepEqual([
    await guide.object(guest.kinora, jobId, "It is me"),
    await guide.object(guest.kinora, jobId, "Really"),
  ], [true, false]);
});
