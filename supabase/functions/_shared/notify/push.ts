/** What a user's devices are told, and what becomes of it. */
import * as z from "zod/mini";
import type { Database } from "../database/call.ts";
import { whileDatabaseIsAway } from "../database/while-away.ts";
import { isLanguage, type Language } from "../errors/languages.ts";
import { eventType, isEventType } from "../events/catalogue.ts";
import { type Attempt, attemptOf, factsOf, NeedsOperator, payloadOf, type Task } from "../queue/task.ts";
import type { Push, PushAnswer, PushService } from "./apns.ts";
import { PushEnvironment, wordsIn } from "./contract.ts";

export interface PushTaskPorts {
  readonly database: Database;
  readonly apns: PushService | null;
}

const PushedEvent = z.object({
  id: z.uuid(),
  type: z.string(),
  data: z.looseObject({}),
  created_at: z.iso.datetime(),
});
export type PushedEvent = z.infer<typeof PushedEvent>;

const Device = z.object({
  token: z.string(),
  environment: PushEnvironment,
  registered_at: z.string(),
  apns_id: z.guid(),
});
type Device = z.infer<typeof Device>;

/** Null where the delivery is gone. */
const PushFacts = z.nullable(z.object({
  event: PushedEvent,
  language: z.nullable(z.string()),
  devices: z.array(Device),
}));

/** Which devices an earlier attempt has sent to, by the ids of what it sent. */
const Progress = z.object({ sent: z.optional(z.array(z.string())) });

const Finished = z.object({ outcome: z.nullable(z.enum(["delivered", "dropped", "dead"])) });

/** Of the body; more than a screen shows, and with the rest far below the 4,096 bytes that Apple takes. */
const maxBodyCharacters = 400;

/**
 * The payload of an event, in JSON: words, and for what a tap opens the event's id and type with the id of the job or the
 * transaction. It has nothing else of the event's data, and so nothing that a user wrote.
 */
export function pushPayload({ id, type, data }: PushedEvent, language: Language): string {
  const { title, body } = wordsIn(language, { type, data });
  const ids = Object.fromEntries(
    ["job_id", "transaction_id"].flatMap((name) =>
      typeof data[name] === "string" ? [[name, data[name]]] : []
    ),
  );
  const characters = Array.from(body);
  const isLong = characters.length > maxBodyCharacters;
  const cut = isLong ? `${characters.slice(0, maxBodyCharacters - 1).join("")}…` : body;
  return JSON.stringify({ aps: { alert: { title, body: cut }, sound: "default" }, id, type, data: ids });
}

/** What is sent to a device. Of a type that this function does not know, since the database is newer, it is urgent for a day. */
export function pushOf(event: PushedEvent, device: Device, language: Language): Push {
  const { priority, keepHours } = (isEventType(event.type) ? eventType(event.type).push : undefined) ??
    { priority: 10, keepHours: 24 };
  const { job_id } = event.data;
  return {
    token: device.token,
    environment: device.environment,
    apnsId: device.apns_id,
    collapseId: typeof job_id === "string" ? job_id : null,
    expiresAt: Math.floor(Date.parse(event.created_at) / 1000) + keepHours * 3600,
    priority,
    payload: pushPayload(event, language),
  };
}

/**
 * Sends an event to each of its user's devices that has not had it, and ends the task where none is to be tried again. Throws
 * NeedsOperator where Apple does not take our key for one of them, once it is kept which have it.
 */
export async function deliverPush(
  task: Task,
  { database, apns }: PushTaskPorts,
  { log, signal }: Attempt,
): Promise<void> {
  const facts = factsOf(task, PushFacts);
  const { sent = [] } = payloadOf(task, Progress);
  const devices = (facts?.devices ?? []).filter(({ apns_id }) => !sent.includes(apns_id));
  const language = isLanguage(facts?.language) ? facts.language : "en";
  const answers = facts === null || apns === null ? [] : await Promise.all(
    devices.map(async (device) => ({
      device,
      answer: await apns.send(pushOf(facts.event, device, language), signal),
    })),
  );
  // Another has the task, or nobody: what was aborted says nothing about Apple.
  if (signal.aborted) return;
  const refusal = answers.find(({ answer }) => answer.outcome === "unauthorized")?.answer;
  const told = {
    ...attemptOf(task),
    p_delivery_id: task.subject,
    p_answers: answers.map(({ device, answer }) => learned(device, answer)),
  };
  if (refusal?.outcome === "unauthorized") {
    // It is tried again each minute until the operator has mended the key. Who has it gets it once.
    if (answers.some(({ answer }) => answer.outcome !== "unauthorized")) {
      await whileDatabaseIsAway(() => database.call("finish_push", { ...told, p_goes_on: true }, Finished));
    }
    throw new NeedsOperator(`Apple answered ${refusal.reason}`, {
      rule: "push_key_refused",
      subject: "APNS_KEY_ID",
      details: { reason: refusal.reason },
    });
  }

  const args = {
    ...told,
    ...why(answers.map(({ answer }) => answer)),
    ...(apns === null && devices.length > 0 ? { p_reason: "APNS_KEY is not set, or what goes with it" } : {}),
  };
  const { outcome } = await whileDatabaseIsAway(() => database.call("finish_push", args, Finished));
  const isWrong = answers.some(({ answer }) => answer.outcome === "refused" || answer.outcome === "failed");
  log[isWrong ? "warn" : "info"]("push_delivery", {
    delivery_id: task.subject,
    outcome,
    answers: answers.map(({ answer }) => "reason" in answer ? answer.reason : answer.outcome),
  });
}

/** What the database is told of a device. */
function learned({ token, registered_at, apns_id }: Device, answer: PushAnswer) {
  return {
    token,
    registered_at,
    apns_id,
    outcome: answer.outcome,
    ...(answer.outcome === "sent" ? { environment: answer.environment } : {}),
    ...(answer.outcome === "gone" && answer.goneAt !== null
      ? { gone_at: new Date(answer.goneAt).toISOString() }
      : {}),
  };
}

/** Why a task goes on, or else why there was nothing to send. */
function why(answers: readonly PushAnswer[]) {
  const failed = answers.flatMap((answer) => answer.outcome === "failed" ? [answer] : []);
  const [first] = failed;
  if (first !== undefined) {
    const asked = failed.flatMap(({ retryAfter }) => retryAfter ?? []);
    return {
      p_error: first.reason,
      ...(asked.length > 0 ? { p_after_seconds: Math.max(...asked) } : {}),
    };
  }
  const [unsent] = answers.flatMap((answer) => "reason" in answer ? [answer.reason] : []);
  return unsent === undefined ? {} : { p_reason: `Apple answered ${unsent}` };
}
