/** The error log: what went wrong in Kinora itself. */
import type { components } from "@kinora/client/admin";
import { jsonOf } from "../../parts/fields.tsx";
import { chosenTexts, TextFilters } from "../../parts/filters.tsx";
import { numberOf, Status, Time, type Tone } from "../../parts/figures.tsx";
import { SearchLink, UserLink } from "../../parts/links.tsx";
import { usePages } from "../../parts/load.ts";
import { Panel } from "../../parts/panel.tsx";
import { Table } from "../../parts/table.tsx";
import { call } from "../../session/session.ts";

type LoggedError = components["schemas"]["LoggedError"];

const filters = { code: "Code", endpoint: "Endpoint", status: "Status", request_id: "Request" };
const tones: Readonly<Record<LoggedError["severity"], Tone>> = {
  info: "plain",
  warn: "odd",
  error: "bad",
  critical: "bad",
};

export function Errors() {
  const filter = chosenTexts(filters);
  const loaded = usePages(
    (cursor, options) => call("GET", "admin-errors", { query: { ...filter, ...cursor } }, options),
    [JSON.stringify(filter)],
  );
  return (
    <Panel
      title="The error log"
      loaded={loaded}
      empty={{ when: ([page]) => page?.errors.length === 0, say: "There are no such errors." }}
      controls={<TextFilters names={filters} />}
    >
      {(pages) => (
        <Table
          caption="The error log"
          rows={pages.flatMap(({ errors }) => errors)}
          rowKey={({ minute, code, endpoint, place }) => `${minute} ${code} ${endpoint} ${place}`}
          more={loaded.more}
          columns={[
            { title: "Code", cell: ({ code }) => code },
            { title: "Endpoint", cell: ({ endpoint }) => endpoint },
            { title: "Severity", cell: ({ severity }) => <Status tone={tones[severity]}>{severity}</Status> },
            { title: "At", cell: ({ at }) => <Time at={at} /> },
            { title: "Times", isNumber: true, cell: ({ count }) => numberOf(count) },
            { title: "What", cell: (error) => <What {...error} /> },
            {
              title: "User",
              cell: ({ user_id }) => <UserLink id={user_id} />,
            },
            {
              title: "Request",
              cell: ({ request_id }) => <SearchLink query={request_id} />,
            },
          ]}
        />
      )}
    </Panel>
  );
}

function What({ message, context }: LoggedError) {
  return (
    <>
      {message ?? "–"}
      {Object.keys(context).length > 0 && (
        <details>
          <summary>Context</summary>
          <pre>{jsonOf(context)}</pre>
        </details>
      )}
    </>
  );
}
