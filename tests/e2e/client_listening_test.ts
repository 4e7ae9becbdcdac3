/** `watch` of the package for apps, which listens to Realtime, against the real backend. */
import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";
import { Kinora, type WatchedJob } from "@kinora/client";
import { randomNumbers, seedOf } from "../../tools/chaos/faults.ts";
import { propertyOptions } from "../runs.ts";
import { shared } from "../shared.ts";
import { eventually } from "./eventually.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { type CutConnections, cutConnections } from "./support/cut-connections.ts";
import { generate, kling, priceOfKling } from "./support/videos.ts";

const backend = shared(startBackend);

/** An app of this user whose jobs say when to ask again only where `polls`; else nothing but Realtime tells it to. */
function appOf(url: string, { polls = false, vsn = "2.0.0" } = {}) {
  const asked: string[] = [];
  const supabase = createClient(url, backend.stack.publishableKey, {
    auth: { persistSession: false, autoRefreshToken: false },
    realtime: { vsn, reconnectAfterMs: () => 20 },
    global: {
      async fetch(input, init) {
        const request = new Request(input, init);
        const response = await fetch(request);
        if (!request.url.includes("/video-status")) return response;
        asked.push(request.url);
        const job = await response.json();
        const never = 86_400;
        const next_poll_seconds = job.next_poll_seconds === null || polls ? job.next_poll_seconds : never;
        return Response.json({ ...job, next_poll_seconds }, { status: response.status });
      },
    },
  });
  return { supabase, kinora: new Kinora(supabase), asked };
}

async function signIn(app: ReturnType<typeof appOf>, guest: Guest): Promise<void> {
  const { data } = await guest.supabase.auth.getSession();
  assert(data.session);
  await app.supabase.auth.setSession(data.session);
}

/** A running job of this guest, whose provider says nothing. */
async function running(guest: Guest): Promise<string> {
  const prompt = `never ends ${crypto.randomUUID()}`;
  await backend.stack.simulators.fal.control.rules({ prompt, outcome: "never" });
  const { job_id } = await generate(guest, prompt);
  await eventually("it runs", async () => {
    const [job] = await backend.database.sql`
      select from videos.jobs as j where j.id = ${job_id} and j.status = 'processing'`;
    return job;
  });
  return job_id;
}

/** Another that is the same, without its provider. */
async function copyOf(jobId: string, guest: Guest): Promise<string> {
  const id = crypto.randomUUID();
  await backend.database.sql`
    insert into videos.jobs
    select (jsonb_populate_record(j, jsonb_build_object('id', ${id}::text, 'user_id', ${guest.id}::text))).*
    from videos.jobs as j where j.id = ${jobId}`;
  return id;
}

/** Changes the job, as a provider that reports tenths does; an event tells its user. */
async function progress(jobId: string, percent: number): Promise<void> {
  await backend.database.sql`update videos.jobs as j set percent = ${percent} where j.id = ${jobId}`;
}

interface Watch {
  readonly seen: WatchedJob[];
  stop(): Promise<void>;
}

function watch(kinora: Kinora, jobId: string): Watch {
  const seen: WatchedJob[] = [];
  const end = new AbortController();
  const done = (async () => {
    try {
      for await (const job of kinora.watch(jobId, { signal: end.signal })) seen.push(job);
    } catch (error) {
      if (!end.signal.aborted) throw error;
    }
  })();
  return {
    seen,
    async stop() {
      end.abort();
      await done;
    },
  };
}

const until = (what: string, holds: () => boolean) => eventually(what, () => holds() || undefined);

const percentOf = ({ seen }: Watch) => seen.at(-1)?.progress.percent;

Deno.test("a watcher whose connection is cut at random ends with what the database has, and never polls", async () => {
  const owner = await backend.signIn(priceOfKling);
  const example = await running(owner);
  await using network = cutConnections(backend.stack.url);
  const { numRuns, seed = Math.floor(Math.random() * 2 ** 31) } = propertyOptions(12, 200);
  await Promise.all(Array.from({ length: 4 }, (_, lane) => repeat(lane)));

  async function repeat(lane: number): Promise<void> {
    for (let run = lane; run < numRuns; run += 4) {
      await play(network, example, run, randomNumbers(seedOf(seed, run))).catch((cause) => {
        throw new Error(`run ${run} of PROPERTY_SEED=${seed}`, { cause });
      });
    }
  }
});

async function play(
  network: CutConnections,
  example: string,
  run: number,
  random: () => number,
): Promise<void> {
  const guest = await backend.signIn();
  const jobId = await copyOf(example, guest);
  const app = appOf(network.url, { vsn: run % 2 === 0 ? "2.0.0" : "1.0.0" });
  await signIn(app, guest);
  const watching = watch(app.kinora, jobId);
  try {
    let percent = 0;
    const writes = 1 + Math.floor(random() * 5);
    for (let write = 0; write < writes; write++) {
      // Between the moments of joining, reading and being told.
      for (let turns = random() * 30; turns > 0; turns--) await backend.database.sql`select`;
      if (random() < 0.5) network.cut();
      percent += 10;
      await progress(jobId, percent);
      if (random() < 0.3) network.cut();
    }
    await until(
      `run ${run}: ${percent} %, and not ${percentOf(watching)}`,
      () => percentOf(watching) === percent,
    );
    // What is shown never goes back.
    const shown = watching.seen.map(({ progress }) => progress.percent ?? 0);
    assert.deepEqual(shown, shown.toSorted((one, other) => one - other));
  } finally {
    await watching.stop();
    await until("nothing is left of the channel", () => app.supabase.getChannels().length === 0);
  }
}

Deno.test("who is told asks once for each news, and several watchers of an app share one channel", async () => {
  // Of another user: what has happened to a job may be told late.
  const example = await running(await backend.signIn(priceOfKling));
  const guest = await backend.signIn();
  await using network = cutConnections(backend.stack.url);
  const app = appOf(network.url);
  await signIn(app, guest);
  const jobs = [await copyOf(example, guest), await copyOf(example, guest), await copyOf(example, guest)];
  const other = new Kinora(app.supabase);
  const watching = jobs.map((jobId, index) => watch(index === 0 ? app.kinora : other, jobId));
  // Once at first, and again when the channel is joined.
  await until("all have joined", () => app.asked.length === 2 * jobs.length);
  assert.deepEqual([network.open, app.supabase.getChannels().length], [1, 1]);
  for (const [index, jobId] of jobs.entries()) {
    await progress(jobId, 10 * (index + 1));
    await until(
      "it is shown",
      () => percentOf(watching[index] ?? { seen: [], stop: () => Promise.resolve() }) === 10 * (index + 1),
    );
  }
  assert.equal(app.asked.length, 3 * jobs.length);
  await watching[0]?.stop();
  assert.equal(app.supabase.getChannels().length, 1);
  await watching[1]?.stop();
  await watching[2]?.stop();
  await until("the connection is closed", () => network.open === 0);
  assert.deepEqual(app.supabase.getChannels(), []);
});

Deno.test("a channel of the app's own is neither used nor ended", async () => {
  const guest = await backend.signIn(priceOfKling);
  const jobId = await running(guest);
  const app = appOf(backend.stack.url, { polls: true });
  await signIn(app, guest);
  await app.supabase.realtime.setAuth();
  // What happened before may be told late.
  const heard: number[] = [];
  const own = app.supabase.channel(`user:${guest.id}`, { config: { private: true } });
  own.on("broadcast", { event: "video" }, ({ payload: { action, data } }) => {
    if (action === "progressed") heard.push(data.percent);
  });
  await new Promise<void>((resolve) => own.subscribe(() => resolve()));
  const watching = watch(app.kinora, jobId);
  await until("it is shown", () => watching.seen.length === 1);
  await progress(jobId, 50);
  await until("it is found by asking", () => percentOf(watching) === 50);
  await watching.stop();
  await progress(jobId, 60);
  await until("the app hears it still", () => heard.length === 2);
  assert.deepEqual(heard, [50, 60]);
  assert.deepEqual(app.supabase.getChannels(), [own]);
  await app.supabase.removeAllChannels();
});

Deno.test("an app is told of everything that happens to its user, and of whoever signs in after them", async () => {
  const [guest, other] = [await backend.signIn(), await backend.signIn()];
  const app = appOf(backend.stack.url);
  await signIn(app, guest);
  const heard: unknown[] = [];
  const stop = app.kinora.listen((news) => heard.push(news && [news.type, news.data.credits_remaining]));
  await until("it has joined", () => heard.length === 1);
  const tell = (userId: string, credits: number) =>
    backend.database.sql`select credits.add_credits(${userId}, ${credits}, 'for a test')`;
  await tell(guest.id, 4);
  await until("it is heard", () => heard.length === 2);
  assert.deepEqual(heard, [null, ["credits", 4]]);

  await signIn(app, other);
  const stopSecond = app.kinora.listen(() => {});
  await until("it has joined as the other", () => heard.length === 3);
  await tell(guest.id, 5);
  await tell(other.id, 6);
  await until("it is heard", () => heard.length === 4);
  assert.deepEqual(heard.slice(2), [null, ["credits", 6]]);
  stop();
  stopSecond();
  await until("nothing is left of the channel", () => app.supabase.getChannels().length === 0);
});

Deno.test("where nobody tells anything, a watcher asks as often as it is told to", async () => {
  await backend.database.sql`delete from events.subscriptions as s where s.channel = 'realtime'`;
  const { kinora } = await backend.signIn(priceOfKling);
  const { job_id } = await kinora.generate({ model_id: kling, prompt: "A fox that nobody tells of" });
  let last: WatchedJob | undefined;
  for await (last of kinora.watch(job_id));
  assert.equal(last?.status, "completed");
});
