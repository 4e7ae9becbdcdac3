/** The client package against the real backend, behind networks that lose, delay, double and reorder. */
import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";
import { Kinora, type WatchedJob } from "../../client/src/kinora.ts";
import { deviceToken } from "../../local/simulators/device-check/device-check.ts";
import { shared } from "../shared.ts";
import { newClient, startBackend } from "./support/backend.ts";
import { badNetwork, type Fault } from "./support/bad-network.ts";
import { kling, priceOfKling } from "./support/videos.ts";

const backend = shared(() => startBackend({ tickMilliseconds: 1_000 }));

/**
 * On a connection that it has used before, a runtime sends a lost request again by itself, and the app never knows; on one that
 * is new for each request, the app has to.
 */
const connections = shared(() => {
  const client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  return Promise.resolve({
    fetch: (input: RequestInfo | URL, init?: RequestInit) => fetch(input, { ...init, client }),
    [Symbol.asyncDispose]: () => Promise.resolve(client.close()),
  });
});

/** An app's client whose network is this one. */
function clientBehind(url: string) {
  return newClient(
    { url, publishableKey: backend.stack.publishableKey },
    (...call) => connections.fetch(...call),
  );
}

async function jobsOf(userId: string): Promise<number> {
  const [row] = await backend.database.sql<{ jobs: number }[]>`
    select count(*)::int as jobs from videos.jobs as j where j.user_id = ${userId}`;
  return row?.jobs ?? 0;
}

const faults: Fault[] = ["request lost", "answer lost", "answer broken", "doubled", "delayed", "reordered"];

for (const fault of faults) {
  Deno.test(`an app makes a video and pays once where each first request is hit by: ${fault}`, async () => {
    await using network = await badNetwork(backend.stack.url, (_, before) => before === 0 ? fault : "none");
    const kinora = new Kinora(clientBehind(network.url));
    const phone = `a phone behind ${fault} ${crypto.randomUUID()}`;
    const check = await kinora.start(() => Promise.resolve(deviceToken(phone)));
    const before = (await kinora.credits()).credits_remaining;
    // Each device has its grant once; a network has five a day.
    if (before === 0) {
      await backend.database.sql`select credits.add_credits(${check.user_id}, 10, 'for a test')`;
    }
    const had = before || 10;

    const accepted = await kinora.generate({ model_id: kling, prompt: `A fox behind ${fault}` });
    let last: WatchedJob | undefined;
    for await (last of kinora.watch(accepted.job_id));
    assert.equal(last?.status, "completed");
    const video = await kinora.download(accepted.job_id);
    assert(video.size > 0);
    const found: string[] = [];
    for await (const job of kinora.jobs()) found.push(job.job_id);
    assert.deepEqual(found, [accepted.job_id]);
    assert.equal((await kinora.credits()).credits_remaining, had - priceOfKling);
    assert.equal(await jobsOf(check.user_id), 1);

    await kinora.delete(accepted.job_id);
    await kinora.account.close().catch((error: unknown) => {
      // The first of the two has closed it; the answer is the second's, which is refused.
      if (fault !== "doubled") throw error;
    });
    const [user] = await backend.database.sql`
      select u.closed_at is not null as closed from accounts.users as u where u.id = ${check.user_id}`;
    assert.deepEqual({ ...user }, { closed: true });
    const hit = new Set(
      network.happened.filter((one) => one.fault === fault).map(({ endpoint }) => endpoint),
    );
    assert.deepEqual([...hit].sort(), [
      "credits",
      "delete-video-job",
      "device-check",
      "generate-video",
      "user-profile",
      "video-jobs",
      "video-status",
    ]);
    await backend.proveLedger();
  });
}

Deno.test("several videos at once on a network with all faults are each made once", async () => {
  await using network = await badNetwork(
    backend.stack.url,
    (_, before) => before % 2 === 0 ? faults[(before / 2) % faults.length] ?? "none" : "none",
  );
  const supabase = clientBehind(network.url);
  await supabase.auth.signInAnonymously();
  const { data: { user } } = await supabase.auth.getUser();
  assert(user);
  await backend.database.sql`select credits.add_credits(${user.id}, 100, 'for a test')`;
  const kinora = new Kinora(supabase);
  const prompts = ["one", "two", "three", "four", "five"].map((number) => `Fox ${number} on a bad network`);
  const jobs = await Promise.all(prompts.map(async (prompt) => {
    const { job_id } = await kinora.generate({ model_id: kling, prompt });
    const states: WatchedJob[] = [];
    for await (const state of kinora.watch(job_id)) states.push(state);
    // What is shown never goes back, whatever overtook what.
    const order = ["queued", "submitted", "generating", "storing", "done"];
    const stages = states.map(({ progress }) => order.indexOf(progress.stage));
    assert.deepEqual(stages, stages.toSorted((one, other) => one - other));
    assert.deepEqual([states.at(-1)?.status, states.at(-1)?.prompt], ["completed", prompt]);
    return job_id;
  }));
  assert.equal(new Set(jobs).size, prompts.length);
  assert.equal(await jobsOf(user.id), prompts.length);
  assert.equal((await kinora.credits()).credits_remaining, 100 - prompts.length * priceOfKling);
  assert.deepEqual(await kinora.intentions(), []);
  await backend.proveLedger();
});

Deno.test("two tabs and a background refresh, when the session has expired, do not lose it", async () => {
  const items = new Map<string, string>();
  const storage = {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
    removeItem: (key: string) => void items.delete(key),
  };
  const { url, publishableKey } = backend.stack;
  const openTab = () =>
    createClient(url, publishableKey, {
      auth: { storage, storageKey: "session", persistSession: true, autoRefreshToken: false },
    });
  const first = openTab();
  await first.auth.signInAnonymously();
  const { data: { user } } = await first.auth.getUser();
  for (let round = 0; round < 3; round++) {
    const kept = JSON.parse(items.get("session") ?? "{}");
    items.set("session", JSON.stringify({ ...kept, expires_at: 1 }));
    const tabs = [openTab(), openTab()];
    const background = openTab();
    const answers = await Promise.all([
      ...tabs.flatMap((tab) => {
        const kinora = new Kinora(tab);
        return [kinora.account.profile(), kinora.account.profile()];
      }),
      background.auth.refreshSession().then(() => new Kinora(background).account.profile()),
    ]);
    assert.deepEqual(new Set(answers.map(({ user_id }) => user_id)), new Set([user?.id]));
  }
  const { data: { user: still } } = await openTab().auth.getUser();
  assert.equal(still?.id, user?.id);
});

Deno.test("an app is answered in its language, and told what is wrong in types", async () => {
  const kinora = new Kinora(newClient(backend.stack), { language: "tr" });
  await kinora.start(() => Promise.resolve(deviceToken(`a phone in Turkish ${crypto.randomUUID()}`)));
  const model_id = crypto.randomUUID();
  const request = { model_id, prompt: "No such model" };
  await assert.rejects(kinora.generate(request), { code: "ERR_4002", status: 422, details: { model_id } });
});

Deno.test("a cancelled video is cancelled, and one that has ended tells its state", async () => {
  const { kinora } = await backend.signIn(2 * priceOfKling);
  await backend.stack.simulators.fal.control.rules({ prompt: "never ends", outcome: "never" });
  const { job_id } = await kinora.generate({ model_id: kling, prompt: "never ends" });
  await kinora.cancel(job_id);
  let last: WatchedJob | undefined;
  for await (last of kinora.watch(job_id));
  assert.deepEqual([last?.status, last?.credits_used], ["cancelled", 0]);
  await assert.rejects(kinora.download(job_id), { code: "ERR_4009", details: { status: "cancelled" } });

  const { job_id: made } = await kinora.generate({ model_id: kling, prompt: "A fox that is made" });
  for await (last of kinora.watch(made));
  await assert.rejects(kinora.cancel(made), { code: "ERR_4009", details: { status: "completed" } });
});
