/** The rate limits: what the operator admits, and what an alert leaves of it. */
import type { components } from "@kinora/client/admin";
import { Change } from "../../parts/change.tsx";
import { changed } from "../../parts/fields.tsx";
import { durationOf, numberOf, Status } from "../../parts/figures.tsx";
import { useLoaded } from "../../parts/load.ts";
import { Panel } from "../../parts/panel.tsx";
import { Table } from "../../parts/table.tsx";
import { call } from "../../session/session.ts";

type Policy = components["schemas"]["Policy"];

export function Limits() {
  const loaded = useLoaded((signal) => call("GET", "admin-limits", {}, { signal }));
  return (
    <Panel title="Rate limits" loaded={loaded}>
      {({ policies }) => (
        <Table
          caption="Rate limits"
          rows={policies}
          rowKey={({ policy }) => policy}
          columns={[
            { title: "Limit", cell: ({ policy }) => policy },
            { title: "Counts", cell: ({ counts }) => counts },
            { title: "For each", cell: ({ scope }) => scope },
            { title: "At most", isNumber: true, cell: ({ max_hits }) => numberOf(max_hits) },
            { title: "Within", isNumber: true, cell: ({ window_seconds }) => durationOf(window_seconds) },
            { title: "Now", isNumber: true, cell: (policy) => <Admitted {...policy} /> },
            {
              title: "Change",
              // Those that bound admins are the database owner's to change.
              cell: (policy) =>
                policy.policy.startsWith("admin")
                  ? "–"
                  : <ChangeLimit policy={policy} done={loaded.reload} />,
            },
          ]}
        />
      )}
    </Panel>
  );
}

function Admitted({ admits, throttle_percent }: Policy) {
  return throttle_percent === 100
    ? <>{numberOf(admits)}</>
    : <Status tone="odd">{numberOf(admits)}, throttled to {throttle_percent} %</Status>;
}

function ChangeLimit({ policy: { policy, max_hits, window_seconds }, done }: {
  policy: Policy;
  done: () => void;
}) {
  return (
    <Change
      label="Change"
      title={`Change the limit ${policy}`}
      run={async ({ reason, form }) => {
        const limit = await call("PATCH", "admin-limits", {
          body: {
            policy,
            max_hits: changed(max_hits, Number(form.get("max_hits"))),
            window_seconds: changed(window_seconds, Number(form.get("window_seconds"))),
            reason,
          },
        });
        return `${policy} admits ${numberOf(limit.admits)} within ${durationOf(limit.window_seconds)}.`;
      }}
      changed={done}
    >
      <label>
        At most{" "}
        <input name="max_hits" type="number" min={1} max={1_000_000} defaultValue={`${max_hits}`} required />
      </label>
      <label>
        Within seconds
        <input
          name="window_seconds"
          type="number"
          min={1}
          max={604_800}
          defaultValue={`${window_seconds}`}
          required
        />
      </label>
    </Change>
  );
}
