/** How fast other servers are told of events, twenty of them, and how fast beside one that is stalled. */
import { createClient } from "@supabase/supabase-js";
import type postgres from "postgres";
import { withConnection } from "../local/postgres/database.ts";
import { startReceiver } from "../local/simulators/receiver/receiver.ts";
import { type Stack, startStack } from "../local/stack.ts";
import { showProgress } from "./progress.ts";
import type { Findings } from "./report.ts";

const servers = 20;
/** Milliseconds between two events, where they come one after the other. */
const pause = 500;
/** After which a message that has not come is missing. */
const patience = 180_000;

/** Registers the servers as an admin does; of each the path. */
async function register(stack: Stack, sql: postgres.Sql, receiverUrl: string): Promise<string[]> {
  const operator = createClient(stack.url, stack.secretKey, { auth: { persistSession: false } });
  const credentials = { email: `${crypto.randomUUID()}@example.com`, password: crypto.randomUUID() };
  const { data, error } = await operator.auth.admin.createUser({ ...credentials, email_confirm: true });
  if (error !== null) throw error;
  await sql`select ops.make_admin(${data.user.id})`;
  const admin = createClient(stack.url, stack.publishableKey, { auth: { persistSession: false } });
  await admin.auth.signInWithPassword(credentials);
  const paths = Array.from({ length: servers }, (_, index) => `/${index}`);
  for (const path of paths) {
    const body = { url: `${receiverUrl}${path}`, types: ["video.started"], reason: "for a bench" };
    const { error } = await admin.functions.invoke("admin-webhooks", { body });
    if (error !== null) throw error;
  }
  return paths;
}

/** Tells of so many events, at once or one after the other, and how long the messages to those that are well took. */
async function measureRow(
  name: string,
  events: number,
  isPaced: boolean,
  isOneStalled: boolean,
): Promise<string[]> {
  const startedAt = new Map<string, number>();
  const taken: number[] = [];
  let lastAt = 0;
  await using receiver = await startReceiver({
    heard({ path, at, headers }) {
      if (path === "/0") return;
      lastAt = at;
      taken.push(at - (startedAt.get(headers["webhook-id"] ?? "") ?? NaN));
    },
  });
  await using stack = await startStack();
  return await withConnection(stack.databaseUrl, async (sql) => {
    const paths = await register(stack, sql, receiver.url);
    if (isOneStalled) await receiver.control.rules({ effect: "stalled", path: "/0", times: null });
    const beganAt = Date.now();
    for (let event = 0; event < events; event++) {
      showProgress(`webhooks, ${name}, ${event} of ${events} events`);
      const rows = await sql<{ id: string; at: number }[]>`
        select p.id, extract(epoch from clock_timestamp()) * 1000 as at from events.publish('video.started', null, '{}') as p (id)`;
      for (const row of rows) startedAt.set(row.id, Number(row.at));
      if (isPaced) await new Promise((resolve) => setTimeout(resolve, pause));
    }
    const expected = events * (paths.length - 1);
    for (const end = Date.now() + patience; taken.length < expected;) {
      if (Date.now() > end) throw new Error(`Of ${expected} messages ${taken.length} came`);
      showProgress(`webhooks, ${name}, ${taken.length} of ${expected} messages`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const sorted = taken.filter(Number.isFinite).sort((a, b) => a - b);
    const at = (part: number) => `${Math.round(sorted[Math.floor(part * (sorted.length - 1))] ?? NaN)}`;
    const rate = Math.round(taken.length / ((lastAt - beganAt) / 1000));
    return [name, `${taken.length}`, isPaced ? "" : `${rate}`, at(0.5), at(0.95)];
  });
}

/** Deliveries a second, and the time from an event to its message at the nineteen servers that are well, side by side. */
export async function measureWebhooks(events: number): Promise<Findings> {
  const rows = [
    await measureRow("at once", events, false, false),
    await measureRow("at once, one server stalled", events, false, true),
    await measureRow("two a second", events, true, false),
    await measureRow("two a second, one server stalled", events, true, true),
  ];
  return {
    goals: [],
    tables: [{
      title: "From an event to the messages at nineteen servers, beside a twentieth",
      header: ["", "messages", "messages/s", "median ms", "p95 ms"],
      rows,
    }],
  };
}
