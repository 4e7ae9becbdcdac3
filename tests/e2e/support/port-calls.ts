/** The calls that the functions make through their ports, seen from outside, and their process ended at one of them. */
import * as z from "zod";
import type { StackOptions } from "../../../local/stack.ts";

/** The how-manieth call with this method and path, and whether it has left, or was answered. */
export interface Point {
  readonly call: string;
  readonly occurrence: number;
  readonly side: "before" | "after";
}

/** Without a call it is a request that the process answers, or what goes on after the answer. */
const message = z.object({
  process: z.number(),
  call: z.string().nullable(),
  side: z.enum(["before", "after"]),
});
export type Message = z.infer<typeof message>;

export class PortCalls implements AsyncDisposable {
  /** Since the last reset, in their order: each once for every side. */
  points: Point[] = [];
  /** Whether the functions were killed since then. */
  hasCrashed = false;
  /** What was seen until they were. */
  untilCrash: readonly Point[] = [];
  /** Requests, what goes on after their answers, and calls, of the process that lives. */
  #inHand = 0;
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
      // What is counted is told at once: a wait would be in hand.
      METRICS_INTERVAL_SECONDS: "0",
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
    this.#inHand = 0;
  }

  /** Whether there are functions, and they have nothing in hand. */
  get isIdle(): boolean {
    return !this.#isCrashing && this.#inHand === 0;
  }

  /** The same for so long. */
  isIdleFor(milliseconds: number): boolean {
    return this.isIdle && Date.now() - this.#lastAt >= milliseconds;
  }

  async #answer(request: Request): Promise<Response> {
    const { process, call, side } = message.parse(await request.json());
    if (this.#dead.has(process)) return new Response();
    this.#lastAt = Date.now();
    this.#inHand += side === "before" ? 1 : -1;
    if (call === null) return new Response();
    const occurrence = 1 + this.points.filter((point) => point.call === call && point.side === side).length;
    this.points.push({ call, occurrence, side });
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
