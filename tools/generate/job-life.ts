/**
 * What is made from the tables that say how a job lives: the types of its status, and the generated parts of docs/jobs.md.
 */
import type postgres from "postgres";
import { replaceParts, table } from "./markdown.ts";
import type { FromDatabase } from "./written.ts";

export const jobStatus: FromDatabase = {
  file: new URL("../../supabase/functions/_shared/videos/job-status.ts", import.meta.url),
  make: async ({ sql }) => jobStatusTypes(await readJobLife(sql)),
};

export const jobsDocument: FromDatabase = {
  file: new URL("../../docs/jobs.md", import.meta.url),
  async make({ sql }, before) {
    const life = await readJobLife(sql);
    return replaceParts(before, { transitions: transitionsPart(life), tasks: tasksPart(life) });
  },
};

interface JobLife {
  /** Every status, in the order of the type; the first is a new job's. */
  readonly statuses: readonly string[];
  readonly transitions: readonly { readonly from: string; readonly to: string; readonly reason: string }[];
  readonly taskKinds: readonly TaskKind[];
}

interface TaskKind {
  readonly kind: string;
  readonly concurrency: number;
  /** Null where it has no end of its own. */
  readonly tries: number | null;
  readonly backoff: string;
  readonly base: number;
  readonly longest: number;
  /** Seconds that a worker may be silent, and that an attempt may take. */
  readonly lease: number;
  readonly timeout: number;
}

async function readJobLife(sql: postgres.Sql): Promise<JobLife> {
  const statuses = await sql<{ status: string }[]>`
    select s.status from unnest(enum_range(null::videos.job_status)) with ordinality as s (status, place) order by s.place`;
  const transitions = await sql<{ from: string; to: string; reason: string }[]>`
    select t.from_status as "from", t.to_status as "to", t.reason
    from videos.job_transitions as t order by t.from_status, t.to_status`;
  const taskKinds = await sql<TaskKind[]>`
    select k.kind, k.concurrency, k.tries, k.backoff, k.base_seconds::int as base, k.max_seconds::int as longest,
      k.lease_seconds as lease, k.timeout_seconds as timeout
    from queue.kinds as k order by k.priority`;
  return { statuses: statuses.map(({ status }) => status), transitions, taskKinds };
}

function jobStatusTypes({ statuses, transitions }: JobLife): string {
  const quote = (values: readonly string[]) => values.map((value) => `"${value}"`).join(", ");
  const targets = (status: string) => transitions.filter(({ from }) => from === status).map(({ to }) => to);
  return `/** Made from \`videos.job_transitions\` by \`deno task generate\`. */

export const jobStatuses = [${quote(statuses)}] as const;
export type JobStatus = (typeof jobStatuses)[number];

/** What a status may become; an ended one, nothing. */
export const jobTransitions = {
${statuses.map((status) => `  ${status}: [${quote(targets(status))}],`).join("\n")}
} as const satisfies Record<JobStatus, readonly JobStatus[]>;

export type EndedJobStatus = {
  [Status in JobStatus]: (typeof jobTransitions)[Status] extends readonly [] ? Status : never;
}[JobStatus];
`;
}

function transitionsPart({ statuses: [first], transitions }: JobLife): string {
  const ends = [...new Set(transitions.map(({ to }) => to))].filter((status) =>
    !transitions.some(({ from }) => from === status)
  );
  const edges = [
    ["[*]", first, "accepted, and its price held"],
    ...transitions.map(({ from, to, reason }) => [from, to, reason]),
    ...ends.map((
      status,
    ) => [status, "[*]", status === "completed" ? "the hold is captured" : "the hold is released"]),
  ];
  return [
    "```mermaid",
    "stateDiagram-v2",
    ...edges.map(([from, to, why]) => `    ${from} --> ${to}: ${why}`),
    "```",
    "",
    ...table(
      ["from", "to", "when"],
      transitions.map(({ from, to, reason }) => [`\`${from}\``, `\`${to}\``, reason]),
    ),
  ].join("\n");
}

function tasksPart({ taskKinds }: JobLife): string {
  const head = ["kind", "at once", "tries", "pause before the next", "lease", "longest attempt"];
  return table(
    head,
    taskKinds.map(({ kind, concurrency, tries, backoff, base, longest, lease, timeout }) => [
      `\`${kind}\``,
      `${concurrency}`,
      tries === null ? "until the job's bound" : `${tries}`,
      backoff === "fixed" ? `${base} s` : `${base} s, doubled up to ${longest} s`,
      `${lease} s`,
      `${timeout} s`,
    ]),
  ).join("\n");
}
