/** Devices that are told in a chaos run, by a simulated APNs that fails in all its ways. */
import type postgres from "postgres";
import type { Stack } from "../../local/stack.ts";
import { type ApnsRule, newPushToken } from "../../local/simulators/apns/apns.ts";
import type { Client } from "./client.ts";

/** Gives each of them a device. */
export async function registerPhones(clients: readonly Client[]): Promise<void> {
  for (const { kinora } of clients) await kinora.push.register(newPushToken());
}

/** Lets APNs fail a few times. */
export async function failToPush({ simulators }: Stack, random: () => number): Promise<void> {
  await simulators.apns.control.rules(
    faults[Math.floor(random() * faults.length)] ?? { effect: "down", times: 5 },
  );
}

const times = 5;
const faults: readonly ApnsRule[] = [
  { effect: "refused", status: 500, reason: "InternalServerError", times },
  { effect: "refused", status: 503, reason: "Shutdown", times },
  { effect: "refused", status: 429, reason: "TooManyRequests", retryAfterSeconds: 30, times },
  { effect: "expired_provider_token", times: 1 },
  { effect: "goaway", times },
  { effect: "down", times },
  { effect: "answer_lost", times },
  { effect: "slow", milliseconds: 15_000, times },
];

/** Each push was sent, or there is a reason why none was to be; and what was sent again was the same. */
export async function judgePushes(sql: postgres.Sql, { simulators }: Stack) {
  const problems: string[] = [];
  const deliveries = await sql<{ id: string; outcome: string | null; reason: string | null }[]>`
    select d.id, d.outcome, d.reason from events.deliveries as d where d.channel = 'push'`;
  for (const { id, outcome, reason } of deliveries) {
    if (outcome !== "delivered" && (outcome !== "dropped" || reason === null)) {
      problems.push(`push ${id} was not sent: ${outcome ?? "pending"} ${reason ?? ""}`);
    }
  }
  const payloads = new Map<string, string>();
  for (const { headers, payload } of (await simulators.apns.control.report()).requests) {
    const id = headers["apns-id"] ?? "";
    const said = JSON.stringify(payload);
    if ((payloads.get(id) ?? said) !== said) problems.push(`push ${id} was sent in two ways`);
    payloads.set(id, said);
  }
  const sent = deliveries.filter(({ outcome }) => outcome === "delivered").length;
  const rows: [string, string][] = [["pushes sent, of", `${sent}, ${deliveries.length}`]];
  return { problems, rows };
}
