/** What a task is, and what a domain registers to have its kinds done. */
import * as z from "zod/mini";
import type { Logger } from "../platform/logger.ts";

export const Task = z.object({
  task_id: z.int(),
  /** A row of queue.kinds. */
  kind: z.string(),
  /** What it is about: a job, a user. */
  subject: z.guid(),
  owner_id: z.nullable(z.guid()),
  /** Fences off whoever comes back after another has the task. */
  attempt: z.int(),
  payload: z.unknown(),
  /** What its kind says of its subject, at the time of the claim; null where it says nothing, and not there where it cannot. */
  facts: z.optional(z.unknown()),
});
export type Task = z.infer<typeof Task>;

/** Which attempt speaks, for a procedure that is told what became of it. */
export function attemptOf({ task_id, attempt }: Task) {
  return { p_task_id: task_id, p_attempt: attempt };
}

/** What an attempt is given beside the ports of its domain. */
export interface Attempt {
  readonly log: Logger;
  /** Aborted when another has the task, or when it was taken away: what goes on is for nobody. */
  readonly signal: AbortSignal;
}

/** What only the operator can mend: by which rule, and what with. */
export type Alert = {
  readonly rule: string;
  readonly subject: string;
  readonly details: Readonly<Record<string, string>>;
};

/** Thrown by a handler that cannot go on before the operator mends something. The task waits for that, for a day. */
export class NeedsOperator extends Error {
  override readonly name = "NeedsOperator";
  constructor(message: string, readonly alert: Alert) {
    super(message);
  }
}

/** Of a task after which nothing is left to be done for its subject. */
export const lastOfSubject = "last of its subject";
export type Done = void | typeof lastOfSubject;

/** Does a task. What it throws gives the task back, to be tried again. */
export interface Handler<Ports> {
  (task: Task, ports: Ports, attempt: Attempt): Promise<Done>;
  /** Of a kind of which an isolate can do little. It is taken when the handler is called, before it waits for anything. */
  readonly room?: Room;
}

/** Whether this isolate may do one more of something, whichever of its workers asks. */
export interface Room {
  /** `now` in milliseconds. */
  isFree(now: number): boolean;
}

/** The handlers of a domain, each under its kind. */
export type Handlers<Ports> = Readonly<Record<string, Handler<Ports>>>;

/** The payload in the form that the kind's makers promise. Throws where it is none. */
export function payloadOf<Schema extends z.ZodMiniType>(task: Task, schema: Schema): z.output<Schema> {
  return schema.parse(task.payload);
}

/** What the database said of the task's subject when it was claimed. Throws where it could not. */
export function factsOf<Schema extends z.ZodMiniType>(task: Task, schema: Schema): z.output<Schema> {
  return schema.parse(task.facts);
}
