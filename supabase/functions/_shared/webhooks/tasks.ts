/** What is done to tell other servers when nobody waits: a message is signed and sent, and what came of it is written down. */
import * as z from "zod/mini";
import type { Port } from "../endpoint/context.ts";
import type { Database } from "../database/call.ts";
import { whileDatabaseIsAway } from "../database/while-away.ts";
import type { Config } from "../platform/config.ts";
import { retryAfterSeconds } from "../platform/bounded-fetch.ts";
import { NotFetched, tellPublic } from "../platform/public-fetch.ts";
import { type PublicWeb, webhookWeb } from "../platform/public-web.ts";
import { type Attempt, attemptOf, type Handlers, NeedsOperator, type Task } from "../queue/task.ts";
import { maxMessageBytes, messageFor, ToldEvent } from "./message.ts";
import { openSecret, signedHeaders } from "./secrets.ts";

export interface WebhookTaskPorts {
  readonly database: Database;
  readonly webhookWeb: PublicWeb;
  readonly config: Pick<Config, "webhooks">;
  now(): number;
}

export const webhookTaskPorts = { webhookWeb } satisfies Record<string, Port<unknown>>;

export const webhookTasks: Handlers<WebhookTaskPorts> = { deliver_webhook: deliverWebhook };

/** Of everything: looking up, connecting, waiting. Standard Webhooks names 15 to 30 s; a worker has more to do. */
const sendMilliseconds = 10_000;

/** As much of an answer as tells an operator what is wrong. */
const maxAnswerBytes = 1024;

/**
 * What the database says when the task is claimed; null where there is nobody to tell any more, and nothing where it
 * cannot.
 */
const Facts = z.nullish(z.object({
  event: ToldEvent,
  /** The secret in use is the first. */
  webhook: z.object({ id: z.guid(), url: z.string(), secrets: z.array(z.string()).check(z.minLength(1)) }),
}));
type Facts = NonNullable<z.infer<typeof Facts>>;

/** What a server said, as the operator reads it. */
type ServerAnswer = { readonly status: number | null; readonly duration_ms: number; readonly text: string };

interface Sent {
  readonly answer: ServerAnswer | null;
  /** Why it is no success; null where it is one. */
  readonly failure: string | null;
  readonly retryAfter: number | null;
  /** Whether another attempt could only fail alike. */
  readonly isFinal?: boolean;
}

const Ended = z.object({
  outcome: z.enum(["delivered", "waiting", "dead", "dropped", "disabled", "lost"]),
});

/** Sends one event to one server, once. Whether it is sent again, and when, the database decides. */
async function deliverWebhook(
  task: Task,
  ports: WebhookTaskPorts,
  { log }: Attempt,
): Promise<void> {
  const facts = Facts.parse(task.facts);
  const why = facts === null ? "there is nobody to tell any more" : "what is to be told could not be read";
  const { answer, failure, retryAfter, isFinal = false } = facts
    ? await send(facts, ports)
    : { answer: null, failure: why, retryAfter: null };
  const args = {
    ...attemptOf(task),
    p_delivery_id: task.subject,
    p_answer: answer,
    p_failure: failure,
    p_retry_after: retryAfter,
    p_is_final: isFinal,
  };
  const finish = () => ports.database.call("finish_webhook_delivery", args, Ended);
  const { outcome } = await whileDatabaseIsAway(finish);
  log[failure === null ? "info" : "warn"]("webhook_delivery", {
    delivery_id: task.subject,
    webhook_id: facts?.webhook.id,
    type: facts?.event.type,
    attempt: task.attempt,
    outcome,
    status: answer?.status,
    ...(answer === null ? {} : { receiver_ms: answer.duration_ms }),
    ...(failure === null ? {} : { cause: failure }),
  });
}

async function send({ event, webhook }: Facts, { webhookWeb, config, now }: WebhookTaskPorts): Promise<Sent> {
  const secrets = await secretsOf(webhook, config.webhooks.key);
  const body = messageFor(webhook.url, event);
  if (new TextEncoder().encode(body).length > maxMessageBytes) {
    const failure = `the message has more than ${maxMessageBytes} bytes`;
    return { answer: null, failure, retryAfter: null, isFinal: true };
  }
  const began = now();
  const headers = {
    "Content-Type": "application/json",
    ...await signedHeaders(secrets, { id: event.id, body, now: began }),
  };
  const request = { method: "POST", headers, body } as const;
  const bounds = { maxBytes: maxAnswerBytes, milliseconds: sendMilliseconds };
  const duration = () => Math.max(0, Math.round(now() - began));
  try {
    const { status, headers, body } = await tellPublic(webhookWeb, webhook.url, request, bounds);
    const text = readable(body);
    return {
      answer: { status, duration_ms: duration(), text },
      failure: status >= 200 && status < 300 ? null : `it answered ${status}`,
      retryAfter: retryAfterSeconds(headers, now()),
    };
  } catch (error) {
    if (!(error instanceof NotFetched)) throw error;
    return {
      answer: { status: null, duration_ms: duration(), text: error.message },
      failure: error.message,
      retryAfter: null,
    };
  }
}

/**
 * What messages to a webhook are signed with: its secret in use, and of those that were replaced the ones that this key opens.
 * After the key itself was changed they do not, and none of them is worth a message.
 */
async function secretsOf({ id, secrets }: Facts["webhook"], key: string | null): Promise<string[]> {
  if (key === null) {
    throw new NeedsOperator("OUTBOUND_WEBHOOK_KEY is not set", {
      rule: "webhooks_not_configured",
      subject: "OUTBOUND_WEBHOOK_KEY",
      details: {},
    });
  }
  const opened = await Promise.allSettled(secrets.map((sealed) => openSecret(key, id, sealed)));
  if (opened[0]?.status !== "fulfilled") {
    throw new NeedsOperator("A webhook's secret in use was sealed with another OUTBOUND_WEBHOOK_KEY", {
      rule: "webhook_secret_sealed",
      subject: `webhook ${id}`,
      details: {},
    });
  }
  return opened.flatMap((each) => each.status === "fulfilled" ? [each.value] : []);
}

/** What Postgres takes as text: no NUL, and no half of a character at the end. */
function readable(body: Uint8Array): string {
  return new TextDecoder().decode(body).replaceAll("\0", "\uFFFD");
}
