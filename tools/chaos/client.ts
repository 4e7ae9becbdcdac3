/** A client of the app as its documentation wants it: a video has a key, which is kept until there is an answer. */
import { setTimeout as pause } from "node:timers/promises";
import { createClient, FunctionsHttpError, type SupabaseClient } from "@supabase/supabase-js";
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
  /** Answers that no failure of ours excuses. */
  readonly surprises: string[];
}

export interface Client {
  readonly name: string;
  readonly userId: string;
  readonly supabase: SupabaseClient;
}

/** Signs up a guest. */
export async function newClient(stack: Stack, name: string): Promise<Client> {
  const supabase = createClient(stack.url, stack.publishableKey, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const { data, error } = await supabase.auth.signInAnonymously();
  if (data.user === null) throw new Error(`No guest: ${error?.message}`);
  return { name, userId: data.user.id, supabase };
}

/** Of the seed: 4 credits a video. */
const model = "0190a000-0000-7000-8000-000000000001";

/** Milliseconds: between two videos of a client at most, and before a request is sent again. */
const maxThought = 800;
const retryPause = 150;

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
    const body = { model_id: model, prompt };
    const headers = { "Idempotency-Key": crypto.randomUUID() };
    const ask = () => answer(client, tally, "generate-video", { body, headers });
    // An impatient user taps twice.
    const answers = await Promise.all(random() < 0.2 ? [ask(), ask()] : [ask()]);
    const jobIds = new Set(answers.map((answer) => answer?.job_id));
    const [jobId] = jobIds;
    if (jobIds.size > 1) tally.surprises.push(`one key, several jobs: ${[...jobIds].join(", ")}`);
    if (typeof jobId === "string") {
      tally.accepted.set(jobId, prompt);
      await pause(random() * maxThought);
      await use(client, tally, jobId, random());
    }
    await pause(random() * maxThought);
  }
}

/** Closes the account for good. */
export async function closeAccount(client: Client, tally: Tally): Promise<void> {
  // A repeated call finds it closed.
  await answer(client, tally, "user-profile", { method: "DELETE" }, ["ERR_4005"]);
}

async function use(client: Client, tally: Tally, jobId: string, choice: number): Promise<void> {
  const status = () => answer(client, tally, `video-status?job_id=${jobId}`, { method: "GET" });
  if (choice < 0.2) await answer(client, tally, "cancel-video", { body: { job_id: jobId } }, ["ERR_4009"]);
  else if (choice < 0.3) {
    await answer(client, tally, `delete-video-job?job_id=${jobId}`, { method: "DELETE" }, [
      "ERR_4007",
      "ERR_4009",
    ]);
  } else if (choice < 0.6) {
    const before = await status();
    const after = await status();
    const hasEnded = before?.completed_at !== null;
    if (hasEnded && before?.status !== after?.status) {
      tally.surprises.push(`${jobId} was ${before?.status}, and is ${after?.status}`);
    }
  }
}

type Options = Parameters<SupabaseClient["functions"]["invoke"]>[1];

/** Codes that say "not now": in progress, database away, a crash in the middle. The platform's own has no such code. */
const passing = ["ERR_4012", "ERR_6001", "BOOT_ERROR"];

/** The body of the answer, which is asked for until it comes; null for a refusal that is `expected`, or a surprise. */
export async function answer(
  { supabase }: Client,
  tally: Tally,
  path: string,
  options: Options,
  expected: readonly string[] = [],
): Promise<Record<string, unknown> | null> {
  for (;;) {
    const { data, error } = await supabase.functions.invoke(path, options ?? {});
    if (error === null) return data;
    if (error instanceof FunctionsHttpError) {
      const code = await codeOf(error.context);
      if (code !== null && expected.includes(code)) return null;
      if (code !== null && !passing.includes(code)) {
        tally.surprises.push(`${path} answered ${error.context.status} ${code}`);
        return null;
      }
    }
    tally.repeated += 1;
    await pause(retryPause);
  }
}

/** Null where the connection broke before all of the answer was there. */
async function codeOf(response: Response): Promise<string | null> {
  try {
    const body: { code?: string; error?: { code: string } } = await response.json();
    return body.error?.code ?? body.code ?? `${response.status}`;
  } catch {
    return null;
  }
}
