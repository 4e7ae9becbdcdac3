/** Alerts: what waits for the operator, by which rules, and what was away. */
import type { components } from "@kinora/client/admin";
import { Change } from "../../parts/change.tsx";
import { chosenOf, OneOf } from "../../parts/filters.tsx";
import { numberOf, Status, Time } from "../../parts/figures.tsx";
import { usePages } from "../../parts/load.ts";
import { Panel, Part } from "../../parts/panel.tsx";
import { Table } from "../../parts/table.tsx";
import { call } from "../../session/session.ts";
import { AlertRules } from "./alert-rules.tsx";

type Alert = components["schemas"]["Alert"];
type Incident = components["schemas"]["Incident"];

const statuses = { open: "Open", resolved: "Resolved", all: "All" };

export function Alerts() {
  const status = chosenOf("status", statuses, "open");
  const loaded = usePages(
    (cursor, options) =>
      call(
        "GET",
        "admin-alerts",
        { query: { ...(status !== "all" && { status }), ...cursor } },
        options,
      ),
    [status],
  );
  const first = loaded.value?.[0];
  return (
    <>
      <Panel
        title="What was raised"
        loaded={loaded}
        empty={{
          when: ([page]) => page?.alerts.length === 0,
          say: status === "open" ? "Nothing waits for you." : "There are no such alerts.",
        }}
        controls={<OneOf legend="Alerts" name="status" options={statuses} value={status} />}
      >
        {(pages) => (
          <Table
            caption="What was raised"
            rows={pages.flatMap(({ alerts }) => alerts)}
            rowKey={({ alert_id }) => alert_id}
            more={loaded.more}
            columns={[
              { title: "Rule", cell: ({ rule }) => rule },
              { title: "About", cell: ({ subject }) => subject },
              { title: "Level", cell: ({ level }) => <Level level={level} /> },
              { title: "What", cell: ({ details }) => <Details details={details} /> },
              { title: "Value", isNumber: true, cell: (alert) => <Value {...alert} /> },
              { title: "Times", isNumber: true, cell: ({ count }) => numberOf(count) },
              { title: "Raised", cell: ({ raised_at }) => <Time at={raised_at} /> },
              { title: "Last", cell: ({ last_at }) => <Time at={last_at} /> },
              { title: "State", cell: (alert) => <State alert={alert} changed={loaded.reload} /> },
            ]}
          />
        )}
      </Panel>
      {first && <AlertRules rules={first.rules} changed={loaded.reload} />}
      {first && <Incidents incidents={first.incidents} />}
    </>
  );
}

function Level({ level }: Pick<Alert, "level">) {
  return <Status tone={level === "critical" ? "bad" : "odd"}>{level}</Status>;
}

function Details({ details: { what, ...others } }: Pick<Alert, "details">) {
  return (
    <>
      {typeof what === "string" && what}
      {Object.keys(others).length > 0 && <code>{JSON.stringify(others)}</code>}
    </>
  );
}

function Value({ value, threshold }: Alert) {
  return value === null
    ? <>–</>
    : <>{numberOf(value)}{threshold !== null && ` (from ${numberOf(threshold)})`}</>;
}

function State({ alert: { alert_id, rule, subject, acknowledged_at, resolved_at }, changed }: {
  alert: Alert;
  changed: () => void;
}) {
  if (resolved_at !== null) {
    return (
      <Status tone="good">
        over at <Time at={resolved_at} />
      </Status>
    );
  }
  if (acknowledged_at !== null) {
    return (
      <Status>
        known since <Time at={acknowledged_at} />
      </Status>
    );
  }
  return (
    <Change
      label="Acknowledge"
      title={`Acknowledge the alert ${rule} of ${subject}`}
      run={async ({ reason }) => {
        await call("PATCH", "admin-alerts", { body: { alert_id, acknowledged: true, reason } });
        return `Nothing more is told of ${rule} of ${subject} before it is over.`;
      }}
      changed={changed}
    />
  );
}

function Incidents({ incidents }: { incidents: readonly Incident[] }) {
  return (
    <Part title="What was away">
      {incidents.length === 0 ? <p class="empty">Nothing was away.</p> : (
        <Table
          caption="What was away"
          rows={incidents}
          rowKey={({ incident_id }) => incident_id}
          columns={[
            { title: "What", cell: ({ subject }) => subject },
            { title: "From", cell: ({ began_at }) => <Time at={began_at} /> },
            {
              title: "Until",
              cell: ({ ended_at }) =>
                ended_at === null ? <Status tone="bad">still away</Status> : <Time at={ended_at} />,
            },
            { title: "Cause", cell: ({ cause }) => cause ?? "–" },
            { title: "Taken over by", cell: ({ taken_over_by }) => taken_over_by.join(", ") || "–" },
          ]}
        />
      )}
    </Part>
  );
}
