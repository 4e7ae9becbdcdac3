/** Calls of `api.generate_videos`, as the endpoint makes them. */
import { first, type Sql } from "./ledger.ts";
import type { Limit } from "./rate-limits.ts";

export interface Item {
  model_id: string;
  prompt: string;
  settings?: Record<string, unknown>;
  project_id?: string;
}

export type Result =
  | { index: number; job_id: string; credits_used: number }
  | { index: number; error: { code: string; details: Record<string, unknown> } };

export interface BulkAnswer {
  data?: { results: Result[]; credits_used: number; credits_remaining: number };
  error?: string;
  details?: Record<string, unknown>;
  limits?: Limit[];
  replayed?: boolean;
}

export async function generateVideos(
  sql: Sql,
  userId: string,
  mode: "all" | "any",
  items: readonly Item[],
  { key = crypto.randomUUID(), fingerprint = "f".repeat(64), network = "192.0.2.1" } = {},
): Promise<BulkAnswer> {
  const { answer } = await first(sql<{ answer: BulkAnswer }[]>`
    select api.generate_videos(
      ${userId}, ${network}, ${key}, ${fingerprint}, 'request', ${mode}, ${sql.json(items as never)}
    ) as answer`);
  return answer;
}
