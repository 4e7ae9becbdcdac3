/** The calls that the functions make through their ports, seen from outside, and their process ended at one of them. */
import * as z from "zod";
import type { StackOptions } from "../../../local/stack.ts";

/** The how-manieth call with this method and path, and whether it has left, or was answered. */
export interface Point {
  readonly call: string;
  readonly occurrence: number;
  readonly side: "before" | "after";
}

const message = z.object({ process: z.number(), call: z.string(), side: z.enum(["before", "after"]) });

export class PortCalls implements AsyncDisposable {
  /** Since the last reset, in their order: each once for every side. */
  points: Point[] = [];
  /** Whether the functions were killed since then. */
  hasCrashed = false;
  /** What was seen until they were. */
  untilCrash: readonly Point[] = [];
  /** Of the process that lives. */
  #inFlight = 0;
  readonly #dead = new Set<number>();
  #lastAt = 0;
  #isCrashing = false;
  #target: Point | null = null;
  #crash: () => Promise<void> = () => Promise.resolve();
  readonly #server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => this.#answer(request),
  );

  /** For the functions of a stack. */
  get environment(): NonNullable<StackOptions["environment"]> {
    return {
      FUNCTIONS_PRELOAD: new URL("port-calls-hook.ts", import.meta.url).href,
      PORT_CALLS_URL: `http://127.0.0.1:${this.#server.addr.port}`,
    };
  }

  /** Forgets what was seen. At `target`, if one is given, `crash` is called, which buries the process: the call never goes on. */
  reset(target: Point | null = null, crash: () => Promise<void> = () => Promise.resolve()): void {
    this.points = [];
    this.hasCrashed = false;
    this.untilCrash = [];
    this.#target = target;
    this.#crash = crash;
  }

  /** Takes a process that is killed now for dead: what it still says, and what it waits for, is nobody's any more. */
  bury(process: number | undefined): void {
    if (process !== undefined) this.#dead.add(process);
    this.#inFlight = 0;
  }

  /** The last call that was answered; null where one is on its way. */
  get lastAnswered(): string | null {
    return this.#inFlight > 0 ? null : this.points.at(-1)?.call ?? null;
  }

  /** Whether there are functions, and they have called nobody for so long. */
  isQuietFor(milliseconds: number): boolean {
    return !this.#isCrashing && this.#inFlight === 0 && Date.now() - this.#lastAt >= milliseconds;
  }

  async #answer(request: Request): Promise<Response> {
    const { process, call, side } = message.parse(await request.json());
    if (this.#dead.has(process)) return new Response();
    const occurrence = 1 + this.points.filter((point) => point.call === call && point.side === side).length;
    this.points.push({ call, occurrence, side });
    this.#lastAt = Date.now();
    this.#inFlight += side === "before" ? 1 : -1;
    const target = this.#target;
    if (target?.call === call && target.occurrence === occurrence && target.side === side) {
      this.#target = null;
      this.hasCrashed = true;
      this.untilCrash = [...this.points];
      this.#isCrashing = true;
      await this.#crash();
      this.#isCrashing = false;
    }
    return new Response();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
