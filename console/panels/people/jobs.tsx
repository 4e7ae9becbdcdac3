/** The jobs, by filters that stand in the address; or the one that the address names. */
import type { ComponentChildren } from "preact";
import { chosenTexts, TextFilters } from "../../parts/filters.tsx";
import { numberOf, Time } from "../../parts/figures.tsx";
import { JobLink, JobState, jobStatuses, UserLink } from "../../parts/links.tsx";
import { usePages } from "../../parts/load.ts";
import { Panel } from "../../parts/panel.tsx";
import { Table } from "../../parts/table.tsx";
import { call } from "../../session/session.ts";
import { href, route } from "../../shell/route.ts";
import { Job } from "./job.tsx";

const filters = { user_id: "User", model_id: "Model", provider: "Provider", error_code: "Error" };

/** What the address says of the filters. Of a status that there is not, the API says so. */
function chosenFilter() {
  return chosenTexts({ ...filters, status: "State" }) as { status?: (typeof jobStatuses)[number] };
}

export function Jobs() {
  const { job_id } = route.value.chosen;
  return job_id === undefined ? <JobList /> : <Job key={job_id} id={job_id} />;
}

function JobList() {
  const filter = chosenFilter();
  const loaded = usePages(
    (cursor, options) => call("GET", "admin-jobs", { query: { ...filter, ...cursor } }, options),
    [JSON.stringify(filter)],
  );
  const { more } = loaded;
  return (
    <Panel
      title="Jobs"
      loaded={loaded}
      controls={<Filter />}
      empty={{
        when: (pages) => more === undefined && pages.every(({ jobs }) => jobs.length === 0),
        say: "No jobs.",
      }}
    >
      {(pages) => (
        <>
          <Table
            caption="Jobs"
            rows={pages.flatMap(({ jobs }) => jobs)}
            rowKey={({ job_id }) => job_id}
            more={more}
            columns={[
              { title: "Job", cell: ({ job_id }) => <JobLink id={job_id} /> },
              { title: "State", cell: ({ status }) => <JobState status={status} /> },
              { title: "Accepted", cell: ({ created_at }) => <Time at={created_at} /> },
              { title: "Error", cell: ({ error_code }) => <Only name="error_code" value={error_code} /> },
              { title: "Provider", cell: ({ provider }) => <Only name="provider" value={provider} /> },
              {
                title: "Model",
                cell: ({ model_id, model_name }) => <Only name="model_id" value={model_id}>{model_name}
                </Only>,
              },
              { title: "Credits", isNumber: true, cell: ({ credits_used }) => numberOf(credits_used) },
              { title: "User", cell: ({ user_id }) => <UserLink id={user_id} /> },
              {
                title: "Stage",
                cell: ({ stage, is_deleted }) => is_deleted ? `${stage}, deleted by its user` : stage,
              },
              { title: "Ended", cell: ({ completed_at }) => <Time at={completed_at} /> },
            ]}
          />
          {more && <p class="empty">With a filter each page looks through 10,000 jobs at most.</p>}
        </>
      )}
    </Panel>
  );
}

/** Of a row: narrows the list to those that have the same. */
function Only({ name, value, children }: {
  name: keyof typeof filters;
  value: string | null;
  children?: ComponentChildren;
}) {
  return value === null
    ? <>–</>
    : <a href={href("jobs", { ...chosenFilter(), [name]: value })}>{children ?? value}</a>;
}

function Filter() {
  const { status } = chosenFilter();
  return (
    <TextFilters names={filters}>
      <label>
        State
        <select name="status">
          <option value="">any</option>
          {jobStatuses.map((name) => (
            <option key={name} value={name} selected={name === status}>{name}</option>
          ))}
        </select>
      </label>
    </TextFilters>
  );
}
