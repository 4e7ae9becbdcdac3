/** Jobs, users and what may be found by their ids, as they are written everywhere. */
import type { components } from "@kinora/client/admin";
import { href } from "../shell/route.ts";
import { Status, type Tone } from "./figures.tsx";

type JobStatus = components["schemas"]["AdministeredJob"]["status"];

export function JobLink({ id }: { id: string | null }) {
  return id === null ? <>–</> : <a class="id" href={href("jobs", { job_id: id })}>{id}</a>;
}

export function UserLink({ id }: { id: string | null }) {
  return id === null ? <>–</> : <a class="id" href={href("users", { user_id: id })}>{id}</a>;
}

/** What the search may know: it says what it is, or that it finds nothing. */
export function SearchLink({ query }: { query: string | null }) {
  return query === null ? <>–</> : <a class="id" href={href("search", { query })}>{query}</a>;
}

const tones: Record<JobStatus, Tone> = {
  pending: "odd",
  processing: "odd",
  completed: "good",
  failed: "bad",
  cancelled: "plain",
};
/** In the order in which a job comes through them. */
export const jobStatuses = Object.keys(tones) as JobStatus[];

export function JobState({ status }: { status: JobStatus }) {
  return <Status tone={tones[status]}>{status}</Status>;
}
