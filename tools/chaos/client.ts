/** A client of the app as its documentation wants it: a video has a key, which is kept until there is an answer. */
import { setTimeout as pause } from "node:timers/promises";
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { type CallOptions, type ErrorCode, Kinora, KinoraError } from "../../client/src/kinora.ts";
import type { Stack } from "../../local/stack.ts";
import { drawJudgement, drawRule } from "./faults.ts";

/** What the clients saw. */
export interface Tally {
  /** The prompt of each accepted job. */
  readonly accepted: Map<string, string>;
  /** Prompts that OpenAI refuses. */
  readonly refused: Set<string>;
  /** Requests that got no answer, or one that says "later", and were sent again. */
  repeated: number;
  /** What whoever watches a job was shown last, and their watching. */
  readonly shown: Map<string, string>;
  readonly watching: Promise<void>[];
  /** Answers that no failure of ours excuses. */
  readonly surprises: string[];
}

export interface Client {
  readonly name: string;
  readonly userId: string;
  readonly kinora: Kinora;
  readonly supabase: SupabaseClient;
}

/** Signs up a guest. */
export async function newClient(stack: Stack, name: string, tally: Tally): Promise<Client> {
  const supabase = createClient(stack.url, stack.publishableKey, {
    auth: { persistSession: false, autoRefreshToken: false },
    global: {
      fetch: async (input, init) => {
        const response = await fetch(input, init).catch((error: unknown) => {
          tally.repeated += 1;
          throw error;
        });
        if (response.status >= 500) tally.repeated += 1;
        const code = response.ok ? undefined : await codeOf(response.clone());
        if (code !== undefined && unexcused.includes(code)) {
          tally.surprises.push(`${name} was answered ${code}`);
        }
        return response;
      },
    },
  });
  const { data, error } = await supabase.auth.signInAnonymously();
  if (data.user === null) throw new Error(`No guest: ${error?.message}`);
  return { name, userId: data.user.id, kinora: new Kinora(supabase), supabase };
}

/** Of the seed: 4 credits a video. */
export const model = "0190a000-0000-7000-8000-000000000001";

/** Milliseconds: between two videos of a client at most. */
const maxThought = 800;

/** Generates one video after the other, and watches, cancels and deletes some, until `isOver`. */
export async function generateVideos(
  client: Client,
  { stack, tally, random, isOver }: {
    stack: Stack;
    tally: Tally;
    random: () => number;
    isOver: () => boolean;
  },
): Promise<void> {
  for (let turn = 1; !isOver(); turn++) {
    const prompt = `${client.name}, video ${turn}.`;
    await stack.simulators.fal.control.rules({ prompt, ...drawRule(random) });
    const judgement = drawJudgement(random);
    if (judgement !== undefined) await stack.simulators.openAi.control.rules({ prompt, ...judgement });
    if (judgement?.effect === "flagged") tally.refused.add(prompt);
    const intention = {
      key: crypto.randomUUID(),
      request: { model_id: model, prompt },
      user_id: client.userId,
      made_at: new Date().toISOString(),
    };
    const ask = () => answer(client, tally, (options) => client.kinora.generate(intention, options));
    // An impatient user taps twice.
    const answers = await Promise.all(random() < 0.2 ? [ask(), ask()] : [ask()]);
    const jobIds = new Set(answers.map((answer) => answer?.job_id));
    const [jobId] = jobIds;
    if (jobIds.size > 1) tally.surprises.push(`one key, several jobs: ${[...jobIds].join(", ")}`);
    if (typeof jobId === "string") {
      tally.accepted.set(jobId, prompt);
      tally.watching.push(watch(client, tally, jobId));
      await pause(random() * maxThought);
      await use(client, tally, jobId, random());
    }
    await pause(random() * maxThought);
  }
}

/** Watches a job to its end, as an app does that stays open. Whoever deletes it, or leaves, sees no end. */
async function watch({ name, kinora }: Client, tally: Tally, jobId: string): Promise<void> {
  try {
    for await (const { status } of kinora.watch(jobId)) tally.shown.set(jobId, status);
  } catch (error) {
    tally.shown.delete(jobId);
    if (error instanceof KinoraError && ["ERR_4005", "ERR_4007"].includes(error.code ?? "")) return;
    tally.surprises.push(`${name} watched ${jobId}: ${error}`);
  }
}

/** Closes the account for good. */
export async function closeAccount(client: Client, tally: Tally): Promise<void> {
  // A repeated call finds it closed.
  await answer(client, tally, (options) => client.kinora.account.close(options), ["ERR_4005"]);
}

async function use(client: Client, tally: Tally, jobId: string, choice: number): Promise<void> {
  const { kinora } = client;
  const status = () => answer(client, tally, (options) => kinora.job(jobId, options));
  if (choice < 0.2) await answer(client, tally, (options) => kinora.cancel(jobId, options), ["ERR_4009"]);
  else if (choice < 0.3) {
    await answer(client, tally, (options) => kinora.delete(jobId, options), ["ERR_4009"]);
  } else if (choice < 0.6) {
    const before = await status();
    const after = await status();
    const hasEnded = before !== null && before.completed_at !== null;
    if (hasEnded && before.status !== after?.status) {
      tally.surprises.push(`${jobId} was ${before.status}, and is ${after?.status}`);
    }
  }
}

/** Milliseconds for a call: a disaster is over by then, and functions that were killed are started again. */
const timeout = 120_000;

/** What the package tries again and no disaster excuses: a limit that nobody reaches, and mistakes of ours. */
const unexcused = ["ERR_4004", "ERR_6002", "ERR_6003"];

/** Undefined where the platform answered, or the connection broke before all of the answer was there. */
async function codeOf(response: Response): Promise<string | undefined> {
  const body: { error?: { code?: string } } | null = await response.json().catch(() => null);
  return body?.error?.code;
}

/** What a call gives; null for a refusal that is `expected`, or a surprise. The package asks until there is an answer. */
export async function answer<Data>(
  { name }: Client,
  tally: Tally,
  call: (options: CallOptions) => Promise<Data>,
  expected: readonly ErrorCode[] = [],
): Promise<Data | null> {
  try {
    return await call({ timeout });
  } catch (error) {
    if (!(error instanceof KinoraError)) throw error;
    if (error.code === null || !expected.includes(error.code)) {
      tally.surprises.push(`${name} was answered ${error.status} ${error.code}: ${error.message}`);
    }
    return null;
  }
}
