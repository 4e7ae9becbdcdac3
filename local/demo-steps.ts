/** What the demo's steps have in common: how they are told, and how an app calls the endpoints and waits for what comes. */
import { FunctionsHttpError, type SupabaseClient } from "@supabase/supabase-js";

const bold = (text: string) => `\x1b[1m${text}\x1b[0m`;

/** Runs one step and prints what came of it and how long it took. */
export async function step<T>(
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
export async function invoke<T>(
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

export interface Status {
  status: string;
  progress: { stage: string };
  next_poll_seconds: number | null;
  credits_used: number;
  video_url: string | null;
  error: Failure | null;
}

/** Watches a job to its end. */
export async function watch(
  supabase: SupabaseClient,
  jobId: string,
): Promise<{ stages: string[]; last: Status }> {
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

export interface Credits {
  credits_remaining: number;
  credits_owed: number;
}

export async function credits(supabase: SupabaseClient): Promise<Credits> {
  return (await invoke<Credits>(supabase, "credits", { method: "GET" })).data;
}

/** Waits for what Apple's notification brings about. */
export async function creditsWhen(
  supabase: SupabaseClient,
  isSo: (credits: Credits) => boolean,
): Promise<Credits> {
  const deadline = performance.now() + 30_000;
  while (performance.now() < deadline) {
    const now = await credits(supabase);
    if (isSo(now)) return now;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("Apple's notification brought nothing about within half a minute");
}
