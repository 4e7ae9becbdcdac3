/** What every simulator is: a server with its switches, what it was asked, and answers that it may keep waiting. */
import type * as z from "zod";
import { answerControl, type SimulatorControl, simulatorControl } from "./control.ts";
import { type hangUp, type LoopbackServer, startLoopbackServer } from "./loopback-server.ts";

/** A simulator that runs; it is controlled where it serves. */
export interface Simulator<RuleInput, Report> extends LoopbackServer {
  readonly control: SimulatorControl<RuleInput, Report>;
}

/** What a simulator is made of. It changes `rules` and `log` in place. */
export interface SimulatorParts<Rule, RuleInput, Report> {
  /** A free one without it. */
  readonly port?: number | undefined;
  readonly rule: z.ZodType<Rule, RuleInput>;
  readonly rules: Rule[];
  readonly log: unknown[];
  readonly report: z.ZodType<Report>;
  /** What the report has beside `rules` and `requests`. */
  readonly tell?: () => object;
  /** Lets time pass for what the service has begun, beside the answers that it keeps waiting. */
  readonly elapse?: (milliseconds: number) => void | Promise<void>;
  /** Called when the switches were changed. */
  readonly save?: () => void;
  /** `pause` resolves when the time has passed, or been let pass. */
  readonly answer: (
    request: Request,
    pause: (milliseconds: number) => Promise<void>,
  ) => Promise<Response | typeof hangUp>;
}

/** Starts a simulator. Disposed of, it ends the answers that wait, and every connection. */
export async function startSimulator<Rule extends object, RuleInput, Report>(
  parts: SimulatorParts<Rule, RuleInput, Report>,
): Promise<Simulator<RuleInput, Report>> {
  const { rule, rules, log, tell = () => ({}), elapse = () => {}, save = () => {} } = parts;
  const pauses = new Pauses();
  const server = await startLoopbackServer(parts.port ?? 0, async (request) => {
    if (new URL(request.url).pathname !== "/_control") {
      return await parts.answer(request, (milliseconds) => pauses.pause(milliseconds));
    }
    return await answerControl(request, rule, {
      ...{ rules, log, changed: save, report: () => ({ requests: log, rules, ...tell() }) },
      async elapse(milliseconds) {
        pauses.elapse(milliseconds);
        await elapse(milliseconds);
      },
    });
  });
  return {
    ...server,
    control: simulatorControl<RuleInput, Report>(server.url, parts.report),
    async [Symbol.asyncDispose]() {
      pauses[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** The answers that a simulator keeps waiting. */
class Pauses implements Disposable {
  readonly #ongoing = new Set<{ elapse(milliseconds: number): void }>();
  #isOver = false;

  /** Resolves when the time has passed, or been let pass, or the simulator ends. */
  async pause(milliseconds: number): Promise<void> {
    if (this.#isOver || milliseconds <= 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    let endsAt = Date.now() + milliseconds;
    let timer = setTimeout(resolve, milliseconds);
    const ongoing = {
      elapse(more: number) {
        endsAt -= more;
        clearTimeout(timer);
        const left = endsAt - Date.now();
        if (left > 0) timer = setTimeout(resolve, left);
        else resolve();
      },
    };
    this.#ongoing.add(ongoing);
    await promise;
    this.#ongoing.delete(ongoing);
  }

  /** Lets time pass for those that wait now. */
  elapse(milliseconds: number): void {
    for (const each of this.#ongoing) each.elapse(milliseconds);
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.elapse(Infinity);
  }
}
