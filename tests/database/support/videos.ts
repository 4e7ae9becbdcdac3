/** Calls of `api.generate_video`, as the endpoint makes them. */
import { cheapModel } from "./jobs.ts";
import { add, first, openAccount, type Sql } from "./ledger.ts";
import type { Limit } from "./rate-limits.ts";

export interface Answer {
  data?: {
    job_id: string;
    status: string;
    credits_used: number;
    credits_remaining: number;
    created_at: string;
  };
  error?: string;
  details?: Record<string, unknown>;
  limits?: Limit[];
  replayed?: boolean;
  language?: string;
}

export interface Call {
  key?: string;
  fingerprint?: string;
  network?: string | null;
  modelId?: string;
  prompt?: string;
  project?: string;
}

/** Somebody who can pay for videos of 4 credits. */
export async function createPayer(sql: Sql, credits = 100): Promise<string> {
  const userId = await openAccount(sql);
  if (credits > 0) await add(sql, userId, credits);
  return userId;
}

export async function generateVideo(sql: Sql, userId: string, call: Call = {}): Promise<Answer> {
  const {
    key = crypto.randomUUID(),
    fingerprint = "f".repeat(64),
    network = "192.0.2.1",
    modelId = cheapModel,
    prompt = "a prompt",
    project = null,
  } = call;
  const { answer } = await first(sql<{ answer: Answer }[]>`
    select api.generate_video(
      ${userId}, ${network}, ${key}, ${fingerprint}, 'request', ${modelId}, ${prompt}, '{}', null,
      p_project_id => ${project}
    ) as answer`);
  return answer;
}
