/** The steps of a device check, as the tests of the database take them. */
import { first, type Sql } from "./ledger.ts";
import type { Limit } from "./rate-limits.ts";

export interface Answer<Data = Record<string, unknown>> {
  data?: Data;
  error?: string;
  details?: Record<string, unknown>;
  limits?: Limit[];
}

export interface Recorded {
  recorded: boolean;
  is_granted: boolean;
  reason?: string;
  retry_after?: number;
}

/** A check in the lane of its network. */
export interface Check {
  userId: string;
  network: string | null;
  lane: string | null;
}

async function answer<Data>(query: PromiseLike<readonly { answer: Answer<Data> }[]>): Promise<Answer<Data>> {
  return (await first(query)).answer;
}

export function begin(sql: Sql, userId: string, network: string | null): Promise<Answer> {
  return answer(sql`select api.begin_device_check(${userId}, ${network}) as answer`);
}

/** Seconds until an earlier intent of theirs is good for a check from this network; null without one. */
export async function intentGoodIn(
  sql: Sql,
  { userId, network }: Omit<Check, "lane">,
): Promise<number | null> {
  const { data } = await begin(sql, userId, network);
  const seconds = data?.["intent_good_in"];
  return typeof seconds === "number" ? seconds : null;
}

export async function enter(
  sql: Sql,
  network: string | null,
): Promise<{ lane: string | null; retry_after: number | null }> {
  const { data } = await answer(
    sql<{ answer: Answer<{ lane: string | null; retry_after: number | null }> }[]>`
    select api.enter_device_lane(${network}) as answer`,
  );
  return data ?? { lane: null, retry_after: null };
}

export async function leave(sql: Sql, { network, lane }: Omit<Check, "userId">): Promise<boolean> {
  const { data } = await answer(
    sql<{ answer: Answer }[]>`select api.leave_device_lane(${network}, ${lane}) as answer`,
  );
  return data?.["left"] === true;
}

export function record(sql: Sql, { userId, network, lane }: Check): Promise<Answer<Recorded>> {
  return answer(sql`select api.record_device_intent(${userId}, ${network}, ${lane}) as answer`);
}

export function grant(sql: Sql, { userId, network, lane }: Check): Promise<Answer> {
  return answer(sql`select api.grant_device_credits(${userId}, ${network}, ${lane}) as answer`);
}

/** What a call granted. */
export async function creditsOf(sql: Sql, check: Check): Promise<unknown> {
  return (await grant(sql, check)).data?.["credits"];
}

/** Somebody who has begun a check. */
export async function createCaller(sql: Sql, network: string | null): Promise<string> {
  const userId = crypto.randomUUID();
  await begin(sql, userId, network);
  return userId;
}

/** Somebody new, or who is given, in the lane of a network; with what was answered to the record of their intent. */
export async function claim(
  sql: Sql,
  network: string | null,
  userId?: string,
): Promise<{ check: Check; answer: Answer<Recorded> }> {
  const check = {
    userId: userId ?? await createCaller(sql, network),
    network,
    lane: (await enter(sql, network)).lane,
  };
  return { check, answer: await record(sql, check) };
}

/** A whole check that grants, and whether it did. */
export async function claimAndGrant(sql: Sql, network: string | null, userId?: string): Promise<boolean> {
  const { check, answer } = await claim(sql, network, userId);
  if (answer.data?.recorded === true) return await creditsOf(sql, check) === 10;
  await leave(sql, check);
  return false;
}
