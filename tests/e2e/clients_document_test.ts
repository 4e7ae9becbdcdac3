/** The code of docs/clients.md, as an app has it, against the real backend. */
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import type { SupabaseClient } from "@supabase/supabase-js";
import type { Kinora, Store, WatchedJob } from "@kinora/client";
import { deviceToken } from "../../local/simulators/device-check/device-check.ts";
import { errorMessages } from "../../supabase/functions/_shared/errors/error-messages.ts";
import { fences, readDocument } from "../contract/documents.ts";
import { startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import { kling, priceOfKling } from "./support/videos.ts";

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

Deno.test("the guide's closed account is another guest at the next start", async () => {
  await withApp("en", async (kinora) => {
    const newDeviceToken = () => Promise.resolve(deviceToken("the guide's phone that stays"));
    const first = await kinora.start(newDeviceToken);
    await kinora.closeAccount();
    const again = await kinora.start(newDeviceToken);
    assert.notEqual(again.user_id, first.user_id);
    assert.deepEqual([again.initial_grant.status, again.credits_remaining], ["already_claimed", 0]);
  });
});
