/** A job's story in words, in the order of time. */
import type { components } from "@kinora/client/admin";
import { creditsOf, moneyOf, numberOf, type Tone } from "../../parts/figures.tsx";

export type Story = NonNullable<components["schemas"]["GetAdminJobsResponse"]["story"]>;
type Job = Story["job"];

export interface Moment {
  /** ISO 8601. */
  readonly at: string;
  readonly text: string;
  readonly tone?: Tone;
}

const postings: Record<Story["postings"][number]["kind"], (credits: string) => string> = {
  hold: (credits) => `Held ${credits}.`,
  capture: (credits) => `Captured ${credits}: the video is paid for.`,
  release: (credits) => `Released ${credits}: the user has them again.`,
  refund: (credits) => `Refunded ${credits}.`,
};

const effects: Record<Story["provider_events"][number]["effect"], string> = {
  applied: "it was applied",
  asked: "the provider was asked whether it is so",
  ignored: "it was ignored",
};

const ends: Partial<Record<Story["submissions"][number]["state"], string>> = {
  not_accepted: "does not have it",
  refused: "refused it",
  unknown: "may have it: its answer was lost",
};

/** What a stage means for whoever waits. */
const stages: Record<Exclude<Job["stage"], "done">, string> = {
  queued: "It waits to be sent to a provider.",
  submitted: "A provider has it, and has not begun.",
  generating: "A provider makes it.",
  storing: "The video is made, and is being stored.",
};

/** How it stands, in a sentence. */
export function standing({ status, stage, percent, error_code, removed_at, deleted_at }: Job): string {
  if (removed_at !== null) return "The operator has removed the video.";
  if (deleted_at !== null) return "Its user has deleted it.";
  if (stage !== "done") return `${stages[stage]}${percent === null ? "" : ` ${percent} % are done.`}`;
  if (status === "completed") return "The video is ready.";
  return status === "failed" ? `It failed with ${error_code}.` : "It was cancelled.";
}

/** All that happened, the earliest first; of one moment in the order of cause and effect. */
export function momentsOf(story: Story): Moment[] {
  return [
    ...beginning(story),
    ...attempts(story),
    ...ending(story),
    ...story.postings.map(({ created_at, kind, amount, balance_after }) => ({
      at: created_at,
      text: `${postings[kind](creditsOf(Math.abs(amount)))}${
        kind === "capture" || balance_after === null
          ? ""
          : ` The balance was ${numberOf(balance_after)} then.`
      }`,
    })),
    ...story.admin_actions.map(({ created_at, action, admin_id, amount, reason }) => ({
      at: created_at,
      text: `${admin_id === null ? "The dashboard" : `Admin ${admin_id}`}: ${action.replaceAll("_", " ")}${
        amount === null ? "" : `, ${creditsOf(amount)}`
      }. “${reason}”`,
    })),
  ].sort((one, other) => Date.parse(one.at) - Date.parse(other.at));
}

function beginning({ job, errors, tasks }: Story): Moment[] {
  return [
    { at: job.created_at, text: `Accepted: ${job.model_name}.` },
    ...errors.map(({ occurred_at, code, endpoint, count }) => ({
      at: occurred_at,
      text: `${code} in ${endpoint}${count === 1 ? "" : `, ${numberOf(count)} times`}.`,
      tone: "bad" as const,
    })),
    ...moment(job.started_at, "A provider has begun."),
    ...tasks.flatMap(({ kind, attempts, failed_at, last_error }) =>
      moment(
        failed_at,
        `The task ${kind} was given up after ${numberOf(attempts)} tries: ${last_error ?? "no error"}.`,
        "bad",
      )
    ),
  ];
}

function attempts({ submissions, provider_events }: Story): Moment[] {
  return [
    ...submissions.flatMap(({ provider, provider_model, state, request_id, cause, cost_cents, ...times }) => [
      { at: times.claimed_at, text: `Sent to ${provider} as ${provider_model}, for ${moneyOf(cost_cents)}.` },
      ...moment(times.accepted_at, `${provider} accepted it as ${request_id}.`),
      ...moment(
        times.ended_at ?? (ends[state] === undefined ? null : times.claimed_at),
        `${provider} ${ends[state] ?? "ended it"}${cause === null ? "" : `: ${cause}`}.`,
        cause === null ? undefined : "odd",
      ),
    ]),
    ...provider_events.map(({ received_at, provider, state, effect }) => ({
      at: received_at,
      text: `${provider} reported ${state ?? "what is erased now"}: ${effects[effect]}.`,
    })),
  ];
}

function ending({ job, files }: Story): Moment[] {
  return [
    ...moment(job.cancel_requested_at, "Its user asked to cancel it."),
    ...moment(job.storing_at, "The video is made; storing it began."),
    ...files.map(({ created_at, kind, bytes, content_type }) => ({
      at: created_at,
      text: `Stored the ${kind}: ${content_type}, ${numberOf(bytes)} bytes.`,
    })),
    ...moment(
      job.completed_at,
      job.error_code === null ? `Ended: ${job.status}.` : `Ended: ${job.status} with ${job.error_code}.`,
      job.status === "failed" ? "bad" : undefined,
    ),
    ...moment(job.late_success_at, "The provider had a video after the end: it was not charged.", "odd"),
    ...moment(job.deleted_at, "Its user deleted it."),
    ...moment(job.removed_at, "The operator removed the video.", "odd"),
  ];
}

/** None where it did not happen. */
function moment(at: string | null, text: string, tone?: Tone): Moment[] {
  return at === null ? [] : [{ at, text, ...(tone && { tone }) }];
}
