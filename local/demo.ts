/**
 * One guest's whole journey, as an app makes it with supabase-js (docs/clients.md), a line a step. Exits non-zero as soon as anything
 * is not as it should be.
 */
import { strict as assert } from "node:assert";
import { createClient, FunctionsHttpError, type SupabaseClient } from "@supabase/supabase-js";
import { readMp4 } from "../supabase/functions/_shared/videos/mp4.ts";
import { readArguments, refuse } from "./arguments.ts";
import { DirectoryInUseError, openDirectory } from "./directory.ts";
import { withConnection } from "./postgres/database.ts";
import { exitOnTermination, unlessTerminating } from "./processes/process.ts";
import {
  defaultDirectory,
  demoDirectory,
  firstCalls,
  removeStatus,
  showStep,
  writeStatus,
} from "./served.ts";
import { deviceToken } from "./simulators/device-check/device-check.ts";
import { startStackFor } from "./stack.ts";

const { values: options } = readArguments(
  `deno task demo [--serve]

Boots the whole backend and plays one guest's journey.
  --serve   go on serving afterwards, until Ctrl-C; deno task status says where`,
  { options: { serve: { type: "boolean", default: false } } },
);

/** Written anew by each demo. */
const videoFile = `${defaultDirectory}/demo.mp4`;
const bold = (text: string) => `\x1b[1m${text}\x1b[0m`;

/** Runs one step and prints what came of it and how long it took. */
async function step<T>(
  name: string,
  sent: string,
  work: () => Promise<T>,
  tell: (result: T) => string,
): Promise<T> {
  const startedAt = performance.now();
  const result = await work();
  const time = `${Math.round(performance.now() - startedAt)} ms`.padStart(8);
  console.log(`${time}  ${bold(name.padEnd(16))} ${sent}${sent && " → "}${tell(result)}`);
  return result;
}

interface Failure {
  code: string;
  message: string;
  details: Record<string, unknown>;
}

/** What a client reads of an error: the body, since the SDK keeps it apart. */
async function invoke<T>(
  supabase: SupabaseClient,
  name: string,
  options: { method?: "GET" | "POST"; body?: Record<string, unknown>; key?: string } = {},
): Promise<{ data: T; replayed: boolean }> {
  const { data, error, response } = await supabase.functions.invoke<T>(name, {
    method: options.method ?? "POST",
    ...(options.body ? { body: options.body } : {}),
    headers: options.key ? { "Idempotency-Key": options.key } : {},
  });
  if (error instanceof FunctionsHttpError) {
    const body: { error: Failure } = await error.context.json();
    throw new Error(
      `${name}: ${body.error.code} ${body.error.message} ${JSON.stringify(body.error.details)}`,
    );
  }
  if (error !== null || data === null) throw new Error(`${name}: no answer`, { cause: error });
  return { data, replayed: response?.headers.get("idempotency-replayed") === "true" };
}

interface Status {
  status: string;
  progress: { stage: string };
  next_poll_seconds: number | null;
  credits_used: number;
  video_url: string | null;
  error: Failure | null;
}

/** Watches a job to its end. */
async function watch(supabase: SupabaseClient, jobId: string): Promise<{ stages: string[]; last: Status }> {
  const deadline = performance.now() + 60_000;
  const stages: string[] = [];
  while (performance.now() < deadline) {
    const { data } = await invoke<Status>(supabase, `video-status?job_id=${jobId}`, { method: "GET" });
    if (stages.at(-1) !== data.progress.stage) stages.push(data.progress.stage);
    if (data.next_poll_seconds === null) return { stages, last: data };
    // A client waits as long as it is told; a demo shows more stages by asking sooner.
    const pause = Math.min(data.next_poll_seconds * 1000, 200);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  throw new Error(`The job did not end within a minute: ${stages.join(" → ")}`);
}

async function play(): Promise<void> {
  await using cleanup = new AsyncDisposableStack();
  using _termination = exitOnTermination(async () => {
    const video = await Deno.stat(videoFile).then(() => ` but ${videoFile}`, () => "");
    console.log(`\nEnding. Nothing of it stays${video}.`);
    await cleanup.disposeAsync();
  });
  if (options.serve) await holdDemoDirectory(cleanup);
  const stack = await step(
    "boot",
    "",
    () => startStackFor(cleanup, { tickMilliseconds: 1_000, onStep: showStep }),
    ({ url }) => `${url}, all of it, without Docker`,
  );
  const supabase = createClient(stack.url, stack.publishableKey, { auth: { persistSession: false } });

  await step("sign in", "signInAnonymously()", async () => {
    const { data, error } = await supabase.auth.signInAnonymously();
    assert.equal(error, null);
    return data;
  }, ({ user }) => `guest ${user?.id}`);

  const check = await step(
    "device check",
    "a fresh token of a new device",
    () =>
      invoke<{ credits_remaining: number; initial_grant: { status: string; credits: number } }>(
        supabase,
        "device-check",
        {
          body: { device_token: deviceToken(`demo ${crypto.randomUUID()}`) },
        },
      ),
    ({ data }) => `${data.initial_grant.status}, ${data.credits_remaining} credits`,
  );
  assert.deepEqual(check.data.initial_grant, { status: "granted", credits: 10 });

  const catalogue = await step(
    "models",
    "",
    () =>
      invoke<{ models: { id: string; name: string; pricing: { type: string; credits: number } }[] }>(
        supabase,
        "models",
        {
          method: "GET",
        },
      ),
    ({ data }) =>
      data.models.map(({ name, pricing }) => `${name} (${pricing.credits} ${pricing.type})`).join(", "),
  );
  const model = catalogue.data.models[0];
  assert(model);

  type Accepted = { job_id: string; status: string; credits_used: number; credits_remaining: number };
  const body = { model_id: model.id, prompt: "A red fox runs through fresh snow at dawn" };
  const key = crypto.randomUUID();
  const accepted = await step(
    "generate",
    `"${body.prompt}"`,
    () => invoke<Accepted>(supabase, "generate-video", { body, key }),
    ({ data }) => `accepted, ${data.credits_used} credits held, ${data.credits_remaining} left`,
  );
  assert.equal(accepted.data.credits_remaining, 10 - accepted.data.credits_used);

  const watched = await step(
    "watch",
    `job ${accepted.data.job_id}`,
    () => watch(supabase, accepted.data.job_id),
    ({ stages, last }) => `${stages.join(" → ")}: ${last.status}`,
  );
  assert.equal(watched.last.status, "completed");
  const { video_url: url } = watched.last;
  assert(url);

  await step(
    "download",
    "the signed URL",
    async () => {
      const response = await fetch(url);
      assert.equal(response.status, 200);
      const bytes = new Uint8Array(await response.arrayBuffer());
      const reader = readMp4();
      reader.push(bytes);
      const mp4 = reader.finish();
      assert(mp4, "What was stored is a playable MP4");
      await Deno.mkdir(defaultDirectory, { recursive: true });
      await Deno.writeFile(videoFile, bytes);
      return { bytes, mp4 };
    },
    ({ bytes, mp4 }) =>
      `${videoFile}: ${bytes.length} bytes, ${
        (mp4.durationMilliseconds ?? 0) / 1000
      } s, ${mp4.width}×${mp4.height}`,
  );

  const replay = await step(
    "same key again",
    "the same request",
    () => invoke<Accepted>(supabase, "generate-video", { body, key }),
    ({ data, replayed }) => `${replayed ? "replayed" : "not replayed"}, still job ${data.job_id}`,
  );
  assert.deepEqual([replay.data, replay.replayed], [accepted.data, true]);

  await stack.simulators.fal.control.rules({ outcome: "failed" });
  const doomed = await step(
    "second video",
    "the provider will fail it",
    () => invoke<Accepted>(supabase, "generate-video", { body, key: crypto.randomUUID() }),
    ({ data }) => `accepted, ${data.credits_used} credits held, ${data.credits_remaining} left`,
  );
  const failed = await step(
    "watch",
    `job ${doomed.data.job_id}`,
    () => watch(supabase, doomed.data.job_id),
    ({ stages, last }) =>
      `${stages.join(" → ")}: ${last.status} with ${last.error?.code} "${last.error?.message}"`,
  );
  assert.deepEqual([failed.last.status, failed.last.credits_used], ["failed", 0]);

  const again = await invoke<{ credits_remaining: number; initial_grant: { status: string } }>(
    supabase,
    "device-check",
    {
      body: { device_token: deviceToken(`demo ${crypto.randomUUID()}`) },
    },
  );
  assert.equal(
    again.data.credits_remaining,
    10 - accepted.data.credits_used,
    "The failed video's credits are back",
  );

  await step(
    "ledger's proof",
    "credits.reconcile(true)",
    () =>
      withConnection(stack.databaseUrl, async (sql) => {
        const violations = await sql`select * from credits.reconcile(true)`;
        const [sums] = await sql`
        select sum(e.amount)::int as total, count(*)::int as entries from credits.entries as e`;
        return { violations, sums };
      }),
    ({ violations, sums }) => {
      assert.deepEqual([violations.length, sums?.total], [0, 0]);
      return `${sums?.entries} entries sum to ${sums?.total}, no violation, ${again.data.credits_remaining} credits left`;
    },
  );

  if (options.serve) {
    await writeStatus(demoDirectory, stack);
    console.log(`
Serving until Ctrl-C; data and keys go with it (deno task dev keeps them).

  API               ${stack.url}
  publishable key   ${stack.publishableKey}

${firstCalls(stack)}`);
    await new Promise(() => {});
  }
}

/** One demo of a clone is served at a time, so that `deno task status` can say where. */
async function holdDemoDirectory(cleanup: AsyncDisposableStack): Promise<void> {
  try {
    cleanup.use(await openDirectory(demoDirectory));
  } catch (error) {
    if (!(error instanceof DirectoryInUseError)) throw error;
    refuse("A demo of this clone is being served already. `deno task status` says where.");
  }
  await removeStatus(demoDirectory);
  cleanup.defer(() => removeStatus(demoDirectory));
}

await unlessTerminating(play);
Deno.exit(0);
