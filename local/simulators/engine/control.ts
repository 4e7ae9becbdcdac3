/** The switches of a simulator and what it saw, over HTTP and so from any process: `GET` and `POST /_control`. */
import * as z from "zod";
import { tryParseJson } from "../../../supabase/functions/_shared/platform/json.ts";

export interface SimulatorControl<Rule, Report> {
  /** Adds rules after those that are there. The first that fits a request and is not used up counts. */
  rules(...rules: Rule[]): Promise<void>;
  /** Forgets rules and the log of requests; what the service itself would remember stays. */
  reset(): Promise<void>;
  /** Lets time pass for what the service has begun: generations, webhooks that are due, answers that it keeps waiting. */
  elapse(milliseconds: number): Promise<void>;
  report(): Promise<Report>;
}

/** The control of the simulator at `url`. */
export function simulatorControl<Rule, Report>(
  url: string,
  report: z.ZodType<Report>,
): SimulatorControl<Rule, Report> {
  async function call(method: "GET" | "POST", body?: unknown): Promise<unknown> {
    const response = await fetch(`${url}/_control`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`The simulator answered ${response.status}: ${await response.text()}`);
    return await response.json();
  }
  return {
    rules: async (...rules) => void await call("POST", { rules }),
    reset: async () => void await call("POST", { reset: true }),
    elapse: async (milliseconds) => void await call("POST", { elapse: milliseconds }),
    report: async () => report.parse(await call("GET")),
  };
}

/** The simulator's side: changes `rules` and `log` in place, and answers with the report. */
export async function answerControl<Schema extends z.ZodType>(
  request: Request,
  schema: Schema,
  { rules, log, elapse, changed, report }: {
    rules: z.output<Schema>[];
    log: unknown[];
    elapse: (milliseconds: number) => Promise<void>;
    changed: () => void;
    report: () => unknown;
  },
): Promise<Response> {
  if (request.method === "POST") {
    const body = z.strictObject({
      rules: z.array(schema).default([]),
      reset: z.boolean().default(false),
      elapse: z.int().min(0).default(0),
    });
    const parsed = body.safeParse(tryParseJson(await request.text()));
    if (!parsed.success) return Response.json({ error: z.prettifyError(parsed.error) }, { status: 400 });
    if (parsed.data.reset) {
      rules.length = 0;
      log.length = 0;
    }
    rules.push(...parsed.data.rules);
    if (parsed.data.elapse > 0) await elapse(parsed.data.elapse);
    changed();
  }
  return Response.json(report());
}

/** For how many requests a rule is; null for all. */
export const times = z.int().positive().nullable().default(1);

/** The first rule that fits, which is used once by it; null where none does. */
export function takeRule<Rule extends { readonly times: number | null }>(
  rules: Rule[],
  fits: (rule: Rule) => boolean,
): Rule | null {
  const index = rules.findIndex(fits);
  const rule = rules[index];
  if (rule === undefined) return null;
  if (rule.times === 1) rules.splice(index, 1);
  else if (rule.times !== null) rules[index] = { ...rule, times: rule.times - 1 };
  return rule;
}
