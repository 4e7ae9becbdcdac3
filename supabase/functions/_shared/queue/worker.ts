/** Works off the tasks that the database hands out, until none is due or the time is up. It knows no kind of task. */
import { AppError } from "../errors/app-error.ts";
import * as z from "zod/mini";
import type { Database } from "../database/call.ts";
import { whileDatabaseIsAway } from "../database/while-away.ts";
import { codes, type ErrorCode, isServerFault } from "../errors/error-codes.ts";
import { sleep } from "../platform/sleep.ts";
import type { Logger } from "../platform/logger.ts";
import { redactText } from "../platform/redaction.ts";
import { StorageAway } from "../platform/storage-away.ts";
import {
  type Alert,
  attemptOf,
  type Handlers,
  lastOfSubject,
  NeedsOperator,
  type Room,
  Task,
} from "./task.ts";

export interface WorkerPorts {
  readonly database: Database;
  readonly log: Logger;
  now(): number;
}

/** How a worker lets time pass, for tests. */
export interface Pace {
  /** Waits so many milliseconds. */
  pause(milliseconds: number): Promise<unknown>;
  /** Calls `work` every so many milliseconds, until the function that it returns is called. */
  every(milliseconds: number, work: () => void): () => void;
}

const realPace: Pace = {
  pause: sleep,
  every: (milliseconds, work) => {
    const timer = setInterval(work, milliseconds);
    return () => clearInterval(timer);
  },
};

/** Tasks are claimed for so long: the platform ends an isolate after 150 s, and an attempt may take 120 of them. */
const claimingMilliseconds = 25_000;

/** As many as one isolate does at once without running short of memory: each holds a stream at most. */
const maxTasksAtOnce = 10;

/** A lease lasts 10 s or more: one renewal that fails loses nothing. */
const renewMilliseconds = 4_000;

/** What the operator reads of an error and its causes; more tells nothing more. */
const maxReasonLength = 500;

interface Running {
  readonly task: Task;
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

/** Tasks of one subject that were claimed with what made them due. */
export interface Claimed {
  readonly subject: string;
  readonly tasks: readonly Task[];
  /** Left when they have been started. */
  readonly room: ReservedRoom;
}

/**
 * Claims and does tasks, of one subject if it is named, ten at once, until none is due or 25 s are over; what is claimed is
 * finished. With tasks that are claimed it begins. After what a handler calls the last of the named subject nothing more is claimed. Of kinds for which the isolate has no room, nothing is claimed. Leases are renewed while the work goes on. An
 * attempt that fails goes back with its reason.
 */
export async function work<Ports extends WorkerPorts>(
  ports: Ports,
  handlers: Handlers<Ports>,
  about?: string | Claimed,
  pace: Pace = realPace,
): Promise<void> {
  const claimed = typeof about === "object" ? about : null;
  const subject = typeof about === "object" ? about.subject : about;
  const end = ports.now() + claimingMilliseconds;
  const running = new Set<Running>();
  let isOver = false;
  const start = (task: Task) => {
    const abort = new AbortController();
    const own: Running = {
      task,
      abort,
      done: attempt(task, ports, handlers, abort.signal, pace).then((isLast) => {
        isOver ||= isLast && subject !== undefined;
      }).finally(() => running.delete(own)),
    };
    running.add(own);
  };

  for (const task of claimed?.tasks ?? []) start(task);
  claimed?.room.leave();
  // Nothing else was due a moment ago.
  let hasAsked = claimed !== null;
  const stopRenewing = pace.every(renewMilliseconds, () => void renew([...running], ports));
  try {
    while (true) {
      // Not for a single place, so that most claims bring several tasks.
      if (!hasAsked && !isOver && ports.now() < end && running.size <= maxTasksAtOnce / 2) {
        await claim(ports, handlers, maxTasksAtOnce - running.size, subject, start);
      }
      hasAsked = false;
      if (running.size === 0) return;
      await Promise.race([...running].map(({ done }) => done));
    }
  } finally {
    // What a claim that failed leaves at work is finished all the same.
    await Promise.all([...running].map(({ done }) => done));
    stopRenewing();
  }
}

/** Of all workers in this isolate: what their claims may bring a task for. */
const askedFor = new Set<Room>();

/** Of the kinds that a claim may bring, the room is kept free until what it brought has been started. */
export interface ReservedRoom {
  /** The kinds of which this isolate may do no more now; the claim leaves them out. */
  readonly without: readonly string[];
  leave(): void;
}

/** Keeps the room for whatever a claim may bring. `now` in milliseconds. */
export function reserveRoom<Ports>(handlers: Handlers<Ports>, now: number): ReservedRoom {
  const rooms = Object.entries(handlers).flatMap(([kind, { room }]) =>
    room === undefined ? [] : [{ kind, room }]
  );
  const free = rooms.filter(({ room }) => room.isFree(now) && !askedFor.has(room));
  for (const { room } of free) askedFor.add(room);
  return {
    without: rooms.filter((each) => !free.includes(each)).map(({ kind }) => kind),
    leave: () => {
      for (const { room } of free) askedFor.delete(room);
    },
  };
}

/** Claims tasks and starts them. */
async function claim<Ports extends WorkerPorts>(
  ports: Ports,
  handlers: Handlers<Ports>,
  limit: number,
  subject: string | undefined,
  start: (task: Task) => void,
): Promise<void> {
  const room = reserveRoom(handlers, ports.now());
  try {
    const tasks = await ports.database.call("claim_tasks", {
      p_limit: limit,
      p_subject: subject ?? null,
      p_without: room.without,
    }, z.array(Task));
    for (const task of tasks) start(task);
  } finally {
    room.leave();
  }
}

async function renew(running: readonly Running[], { database, log }: WorkerPorts): Promise<void> {
  if (running.length === 0) return;
  try {
    const { kept } = await database.call("renew_tasks", {
      p_task_ids: running.map(({ task }) => task.task_id),
      p_attempts: running.map(({ task }) => task.attempt),
    }, z.object({ kept: z.array(z.boolean()) }));
    running.forEach(({ abort }, index) => {
      if (kept[index] !== true) abort.abort();
    });
  } catch (error) {
    // The next time may come before the leases are over.
    log.warn("leases_not_renewed", { tasks: running.length, error });
  }
}

/** Says whether the task was the last of its subject. Never rejects. */
async function attempt<Ports extends WorkerPorts>(
  task: Task,
  ports: Ports,
  handlers: Handlers<Ports>,
  signal: AbortSignal,
  pace: Pace,
): Promise<boolean> {
  const { database, log } = ports;
  const { kind, subject, attempt } = task;
  try {
    const handler = Object.hasOwn(handlers, kind) ? handlers[kind] : undefined;
    // The database is newer than this deployment: whoever is as new does it later.
    if (handler === undefined) throw new Error(`Unknown kind of task: ${kind}`);
    return await handler(task, ports, { log, signal }) === lastOfSubject;
  } catch (error) {
    log.warn("task_failed", { kind, subject, attempt, error });
    try {
      // The code goes to the error log, the alert to the operator, who alone can mend it.
      const failure = { p_error: reasonOf(error), p_code: codeOf(error), p_alert: alertOf(error) };
      const giveBack = () => database.call("retry_task", { ...attemptOf(task), ...failure }, z.unknown());
      await whileDatabaseIsAway(giveBack, pace.pause);
    } catch (error) {
      // The lease runs out and the task comes back by itself; the others go on.
      log.warn("task_not_returned", { kind, subject, attempt, error });
    }
    return false;
  }
}

/** Whatever is no error of ours or a provider's by name is a bug. */
function codeOf(error: unknown): ErrorCode {
  return error instanceof AppError && isServerFault(error.code) ? error.code : codes["internal/error"];
}

/** Of the error, or of what caused it. */
function alertOf(error: unknown): Alert | undefined {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (current instanceof NeedsOperator) return current.alert;
    // Whatever the task, it waits until Storage is back.
    if (current instanceof StorageAway) {
      return { rule: "storage_away", subject: "storage", details: { cause: current.message } };
    }
  }
  return undefined;
}

/** An AppError's message is its code, and tells nothing without its cause. */
function reasonOf(error: unknown): string {
  const reasons: string[] = [];
  for (let current = error; current instanceof Error; current = current.cause) {
    reasons.push(`${current.name}: ${current.message}`);
  }
  return redactText(reasons.join(" < ") || String(error)).slice(0, maxReasonLength);
}
