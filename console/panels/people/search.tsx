/** The users and jobs that somebody's words may name. */
import { numberOf, Status, Time } from "../../parts/figures.tsx";
import { JobLink, JobState, UserLink } from "../../parts/links.tsx";
import { List } from "../../parts/list.tsx";
import { useLoaded } from "../../parts/load.ts";
import { Panel } from "../../parts/panel.tsx";
import { call } from "../../session/session.ts";
import { route } from "../../shell/route.ts";

export function Search() {
  const { query } = route.value.chosen;
  return query === undefined
    ? (
      <p>
        Search by what a user sends: their reference, e-mail address or id, or a job's id, the id of a
        request, or the app's own name for a job (<code>client_reference</code>).
      </p>
    )
    : <Found query={query} />;
}

const matches = {
  job_id: "its id",
  request_id: "the request that made it",
  client_reference: "the app's name for it",
};

function Found({ query }: { query: string }) {
  const loaded = useLoaded((signal) => call("GET", "admin-search", { query: { query } }, { signal }), [
    query,
  ]);
  return (
    <>
      <Panel
        title={`Found for “${query}”`}
        loaded={loaded}
        empty={{
          when: ({ users, jobs }) => users.length + jobs.length === 0,
          say:
            "Nothing. An e-mail address and a job's id must be whole; a user's id needs its first 8 digits.",
        }}
      >
        {({ users, jobs }) => <p>Users: {users.length}. Jobs: {jobs.length}.</p>}
      </Panel>
      {loaded.value && loaded.value.users.length > 0 && (
        <List
          title="Users"
          none=""
          rows={loaded.value.users}
          rowKey={({ user_id }) => user_id}
          columns={[
            { title: "User", cell: ({ user_id }) => <UserLink id={user_id} /> },
            { title: "E-mail", cell: ({ email, is_guest }) => email ?? (is_guest ? "a guest" : "–") },
            { title: "Reference", cell: ({ reference }) => reference ?? "–" },
            { title: "State", cell: ({ is_banned }) => is_banned ? <Status tone="bad">banned</Status> : "–" },
            { title: "Since", cell: ({ created_at }) => <Time at={created_at} /> },
            {
              title: "Credits",
              isNumber: true,
              cell: ({ credits_remaining }) => numberOf(credits_remaining),
            },
          ]}
        />
      )}
      {loaded.value && loaded.value.jobs.length > 0 && (
        <List
          title="Jobs"
          none=""
          rows={loaded.value.jobs}
          rowKey={({ job_id }) => job_id}
          columns={[
            { title: "Job", cell: ({ job_id }) => <JobLink id={job_id} /> },
            { title: "State", cell: ({ status }) => <JobState status={status} /> },
            { title: "Found by", cell: ({ matched }) => matches[matched] },
            { title: "User", cell: ({ user_id }) => <UserLink id={user_id} /> },
            { title: "Accepted", cell: ({ created_at }) => <Time at={created_at} /> },
          ]}
        />
      )}
    </>
  );
}
