/** What became of every job of a chaos run, and what is wrong with it. */
import type postgres from "postgres";
import type { EndedJobStatus, JobStatus } from "../../supabase/functions/_shared/videos/job-status.ts";
import type { Stack } from "../../local/stack.ts";
import type { Tally } from "./client.ts";

export interface Verdict {
  /** Jobs. */
  readonly accepted: number;
  /** What happened, as `[what, how often]`. */
  readonly rows: readonly (readonly [string, string])[];
  /** What must never be; empty where all is well. */
  readonly problems: readonly string[];
}

/** Compares what the clients were told with the jobs, the ledger, the providers and the files. */
export async function judge(
  sql: postgres.Sql,
  { simulators }: Stack,
  tally: Tally,
  given: number,
): Promise<Verdict> {
  const jobs = await sql<Job[]>`
    select j.id, j.status, j.error_code as code, j.late_success_at is not null as late, j.completed_at is not null as ended,
      coalesce(j.error_details ->> 'reason' = 'policy', false) as refused,
      j.deleted_at is null and not exists (
        select from accounts.users as u where u.id = j.user_id and u.closed_at is not null
      ) as visible,
      array(
        select t.kind::text from credits.transfers as h
        join credits.transfers as t on t.id = h.id or t.reverses_id = h.id
        where h.job_id = j.id and h.kind = 'hold' order by t.kind
      ) as transfers,
      exists (
        select from videos.assets as a
        join storage.objects as o on o.bucket_id = 'videos' and o.name = a.path
        where a.job_id = j.id and a.kind = 'video'
      ) as stored
    from videos.jobs as j`;
  const [money] = await sql<
    { balance: number; owed: number; captured: number; gone: number; violations: string[] }[]
  >`
    select
      (select coalesce(sum(a.balance), 0)::int from credits.accounts as a where a.kind = 'owed') as owed,
      (select coalesce(sum(a.balance), 0)::int from credits.accounts as a where a.kind = 'available') as balance,
      (select coalesce(sum(t.amount), 0)::int from credits.transfers as t where t.kind = 'capture') as captured,
      (select coalesce(sum(t.amount), 0)::int from credits.transfers as t where t.kind in ('expiry', 'forfeit')) as gone,
      array(select format('%s %s', r.violation, r.subject) from credits.reconcile(true) as r) as violations`;
  // The clock jumps to when the last credits expire, a year or more, and retention deletes the jobs of whoever was erased by
  // then. Their hold stays in the ledger, with its end.
  const deleted = await sql<{ id: string }[]>`
    select h.job_id as id
    from credits.transfers as h
    join credits.transfers as e on e.reverses_id = h.id and e.kind in ('capture', 'release')
    join accounts.users as u on u.id = h.owner_id
    where h.kind = 'hold'
      and exists (select from accounts.erasures as r where r.user_id in (u.id, u.merged_into) and r.swept_at is not null)
      and not exists (select from videos.jobs as j where j.id = h.job_id)`;
  const tasks = await sql<{ kind: string; subject: string; error: string | null }[]>`
    select t.kind, t.subject, t.last_error as error from queue.tasks as t`;
  const strays = await sql<{ name: string }[]>`
    select o.name from storage.objects as o
    where o.bucket_id = 'videos'
      and not exists (select from videos.assets as a where a.path = o.name and a.deleted_at is null)`;
  const [fal, replicate] = await Promise.all([
    simulators.fal.control.report(),
    simulators.replicate.control.report(),
  ]);
  const taken = countBy([...fal.jobs, ...replicate.jobs].map(({ input }) => JSON.stringify(promptOf(input))));

  const known = new Set([...jobs, ...deleted].map(({ id }) => id));
  const problems = [
    ...tally.surprises,
    ...[...tally.accepted.keys()].filter((id) => !known.has(id)).map((id) =>
      `${id} was accepted, and is lost`
    ),
    ...jobs.filter(({ id }) => !tally.accepted.has(id)).map(({ id }) =>
      `${id} is there, and nobody was told`
    ),
    ...jobs.flatMap(problemsOf),
    ...[...taken].filter(([, times]) => times > 1).map(([prompt, times]) =>
      `${prompt} was made ${times} times`
    ),
    ...[...tally.refused].filter((prompt) => taken.has(JSON.stringify(prompt))).map((prompt) =>
      `${prompt} was made, and OpenAI had refused it`
    ),
    ...tasks.map(({ kind, subject, error }) => `${kind} of ${subject} is left: ${error}`),
    ...strays.map(({ name }) => `${name} belongs to no job`),
    ...(money?.violations ?? ["the ledger cannot be read"]),
  ];
  if (money !== undefined && money.balance - money.owed + money.captured + money.gone !== given) {
    problems.push(
      `of ${given} credits ${money.balance} are left, ${money.captured} were paid, ${money.gone} are gone and ${money.owed} owed`,
    );
  }

  const ended = (status: EndedJobStatus) => jobs.filter((job) => job.status === status);
  const codes = [...countBy(ended("failed").map(({ code }) => code ?? "none"))].sort();
  const rows: [string, string][] = [
    ["requests sent again", `${tally.repeated}`],
    ["accepted", `${tally.accepted.size}`],
    ["completed and paid", `${ended("completed").length}`],
    ["failed and given back", `${ended("failed").length}`],
    ...codes.map(([code, times]): [string, string] => [`  ${code}`, `${times}`]),
    ["cancelled and given back", `${ended("cancelled").length}`],
    ["deleted with their user", `${deleted.length}`],
    ["refused by OpenAI", `${jobs.filter(({ refused }) => refused).length}`],
    ["late successes, not charged", `${jobs.filter(({ late }) => late).length}`],
    ["videos that fal made", `${fal.jobs.length}`],
    ["videos that Replicate made", `${replicate.jobs.length}`],
    ["credits given", `${given}`],
    ["  paid", `${money?.captured}`],
    ["  expired or forfeited", `${money?.gone}`],
    ["  left", `${money?.balance}`],
    ["  owed", `${money?.owed}`],
    ["reconciliation", `${money?.violations.length} violations`],
  ];
  return { accepted: tally.accepted.size, rows, problems };
}

interface Job {
  id: string;
  status: JobStatus;
  code: string | null;
  late: boolean;
  /** By the moderation, before a provider saw it. */
  refused: boolean;
  ended: boolean;
  /** Not deleted by its user. */
  visible: boolean;
  transfers: string[];
  /** Whether its video is in storage. */
  stored: boolean;
}

function problemsOf({ id, status, ended, visible, transfers, stored }: Job): string[] {
  const isPaid = status === "completed";
  return [
    ...(ended ? [] : [`${id} is ${status} for ever`]),
    ...(transfers.join(" ") === `hold ${isPaid ? "capture" : "release"}`
      ? []
      : [`${id} is ${status}, with ${transfers.join(", ")}`]),
    ...(stored === (isPaid && visible) ? [] : [`${id} is ${status}, ${stored ? "with" : "without"} a video`]),
  ];
}

function promptOf(input: unknown): unknown {
  return typeof input === "object" && input !== null && "prompt" in input ? input.prompt : undefined;
}

function countBy(values: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}
