/** Other servers that are told what happens in a chaos run: one that is well, and one that fails in all its ways. */
import type postgres from "postgres";
import { Webhook } from "standardwebhooks";
import {
  type ReceivedMessage,
  type Receiver,
  type ReceiverRule,
  startReceiver,
} from "../../local/simulators/receiver/receiver.ts";
import { newSecret, sealSecret } from "../../supabase/functions/_shared/webhooks/secrets.ts";

/** Enough of them, and none of the thousands that are left undone before it begins. */
const types = ["video.completed", "purchase.*"];

export interface Servers extends AsyncDisposable {
  /** Lets one of them fail for a while. */
  misbehave(random: () => number): Promise<void>;
  /** Nothing fails any more. */
  mend(): Promise<void>;
  /** What must never be, and what happened. */
  judge(sql: postgres.Sql): Promise<{ problems: string[]; rows: [string, string][] }>;
}

interface Server {
  readonly id: string;
  readonly path: string;
  readonly secret: string;
  /** By the id of their event. */
  readonly messages: Map<string, ReceivedMessage[]>;
}

/** Starts them, and registers them in a project whose key is in this folder. */
export async function startServers(sql: postgres.Sql, dataDirectory: string): Promise<Servers> {
  const { outboundWebhookKey: key } = JSON.parse(await Deno.readTextFile(`${dataDirectory}/keys.json`));
  const servers = ["/well", "/failing"].map((path): Server => ({
    ...{ path, id: crypto.randomUUID(), secret: newSecret(), messages: new Map() },
  }));
  const receiver: Receiver = await startReceiver({
    heard(message) {
      const server = servers.find(({ path }) => path === message.path);
      const id = message.headers["webhook-id"] ?? "";
      server?.messages.set(id, [...server.messages.get(id) ?? [], message]);
    },
  });
  for (const { id, path, secret } of servers) {
    await sql`select webhooks.add(${id}, ${receiver.url + path}, ${types}, ${await sealSecret(
      key,
      id,
      secret,
    )})`;
  }
  return {
    misbehave: (random) =>
      receiver.control.rules(
        faults[Math.floor(random() * faults.length)] ?? { effect: "lost", path: "/failing" },
      ),
    mend: () => receiver.control.reset(),
    judge: (sql) => judge(sql, servers),
    [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose](),
  };
}

const common = { path: "/failing", times: 5 } as const;
const faults: readonly ReceiverRule[] = [
  { effect: "answer", status: 500, ...common },
  { effect: "answer", status: 429, headers: { "retry-after": "30" }, ...common },
  { effect: "redirect", location: "http://127.0.0.1:1/", ...common },
  { effect: "huge", bytes: 5 * 1024 ** 3, ...common },
  { effect: "slow", status: 503, ...common },
  { effect: "stalled", milliseconds: 15_000, ...common },
  { effect: "lost", ...common },
];

/** Each event was told to each of them, and what came again came as it was. */
async function judge(sql: postgres.Sql, servers: readonly Server[]) {
  const problems: string[] = [];
  const rows: [string, string][] = [];
  for (const { id, path, secret, messages } of servers) {
    const verifier = new Webhook(secret);
    for (const [eventId, repetitions] of messages) {
      if (new Set(repetitions.map(({ body }) => body)).size > 1) {
        problems.push(`${path} was told ${eventId} in two ways`);
      }
      for (const { body, headers, at } of repetitions) {
        // When it was told; what the library compares with is now.
        const sentAt = String(Math.floor(Date.now() / 1000));
        if (Math.abs(Number(headers["webhook-timestamp"]) * 1000 - at) > 60_000) {
          problems.push(`${path} was told ${eventId} with another time`);
        }
        if (!signatureFits(verifier, { body, headers }, sentAt)) {
          problems.push(`${path} was told ${eventId} by another`);
        }
      }
    }
    const deliveries = await sql<{ event_id: string; outcome: string | null; reason: string | null }[]>`
      select d.event_id, d.outcome, d.reason from events.deliveries as d where d.target = ${id}`;
    for (const { event_id, outcome, reason } of deliveries) {
      if (outcome !== "delivered" || !messages.has(event_id)) {
        problems.push(`${path} was not told ${event_id}: ${outcome ?? "pending"} ${reason ?? ""}`);
      }
    }
    const told = [...messages.values()].reduce((sum, { length }) => sum + length, 0);
    rows.push([`events told to ${path.slice(1)}, with repetitions`, `${messages.size}, ${told}`]);
  }
  return { problems, rows };
}

/** By the word of the public library, which asks for a message of the last five minutes: an older one is as it was signed. */
function signatureFits(
  verifier: Webhook,
  { body, headers }: Pick<ReceivedMessage, "body" | "headers">,
  now: string,
): boolean {
  const sentAt = headers["webhook-timestamp"] ?? "";
  const isOld = Number(now) - Number(sentAt) > 240;
  if (isOld) {
    const expected = verifier.sign(headers["webhook-id"] ?? "", new Date(Number(sentAt) * 1000), body);
    return (headers["webhook-signature"] ?? "").split(" ").includes(expected);
  }
  try {
    verifier.verify(body, headers);
    return true;
  } catch {
    return false;
  }
}
