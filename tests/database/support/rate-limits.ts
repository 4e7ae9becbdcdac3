/** Rate limits, as the tests set and take them. */
import { first, type Sql } from "./ledger.ts";

/** As the API shows it. */
export interface Limit {
  policy: string;
  allowed: boolean;
  current: number;
  limit: number;
  window: number;
  remaining: number;
  reset: number;
}

export interface Taken {
  limits: Limit[];
  refusal?: { error: string; details: { policy?: string; retry_after?: number }; limits: Limit[] };
}

export interface PolicyOptions {
  scope?: "user" | "network" | "endpoint" | "global";
  maxHits: number;
  windowSeconds?: number;
  onFailure?: "open" | "closed";
  isLogged?: boolean;
}

/** Makes a policy, or changes the one of that name. */
export async function setPolicy(sql: Sql, name: string, options: PolicyOptions): Promise<void> {
  const {
    scope = "user",
    maxHits,
    windowSeconds = 3600,
    onFailure = "open",
    isLogged = false,
  } = options;
  await sql`
    insert into guard.policies (name, scope, max_hits, window_seconds, on_failure, is_logged)
    values (${name}, ${scope}, ${maxHits}, ${windowSeconds}, ${onFailure}, ${isLogged})
    on conflict (name) do update
      set (scope, max_hits, window_seconds, on_failure, is_logged) = (
        excluded.scope, excluded.max_hits, excluded.window_seconds, excluded.on_failure, excluded.is_logged
      )`;
}

export interface Caller {
  userId?: string;
  network?: string | null;
  endpoint?: string;
}

export async function take(sql: Sql, policies: string[], caller: Caller = {}): Promise<Taken> {
  const { userId = crypto.randomUUID(), network = null, endpoint = "an-endpoint" } = caller;
  const { taken } = await first(sql<{ taken: Taken }[]>`
    select jsonb_strip_nulls(to_jsonb(t) || jsonb_build_object('limits', guard.limits_json(t.limits))) as taken
    from guard.take(${policies}, ${userId}, ${network}, ${endpoint}) as t`);
  return taken;
}

/** Takes one policy and gives its limit, admitted or not. */
export async function takeOne(sql: Sql, policy: string, caller: Caller): Promise<Limit> {
  const { limits } = await take(sql, [policy], caller);
  return await first(Promise.resolve(limits));
}

/** How many hits are counted against these users and networks, or against all, by policy. */
export async function countHits(sql: Sql, subjects: string[] | null = null): Promise<Record<string, number>> {
  const rows = await sql<{ policy: string; hits: number }[]>`
    select h.policy, sum(cardinality(h.hits))::integer as hits
    from guard.hits as h
    where ${subjects}::text[] is null or h.subject = any (${subjects})
    group by h.policy`;
  return Object.fromEntries(rows.map(({ policy, hits }) => [policy, hits]));
}
