/** Whether all is well, and where the money goes: what is wrong first, then how things stand, then how they went. */
import type { components } from "@kinora/client/admin";
import { useMemo } from "preact/hooks";
import { creditsOf, durationOf, moneyOf, numberOf, Status, Time } from "../parts/figures.tsx";
import { type Loaded, useLoaded } from "../parts/load.ts";
import { Panel } from "../parts/panel.tsx";
import { Plot } from "../parts/plot.tsx";
import { Table } from "../parts/table.tsx";
import { call } from "../session/session.ts";
import { href } from "../shell/route.ts";
import { span, spans, TimeRange } from "../shell/time-range.tsx";

type Stats = components["schemas"]["GetAdminStatsResponse"];
type Stat = Stats["totals"][number];
type Alerts = components["schemas"]["GetAdminAlertsResponse"];

/** Milliseconds: of the 60 calls a minute that an admin has, this page takes four. */
const interval = 30_000;

export function Overview() {
  const chosen = span();
  const alerts = useLoaded(
    (signal) => call("GET", "admin-alerts", { query: { status: "open", limit: 20 } }, { signal }),
    [],
    interval,
  );
  const stats = useLoaded(
    (signal) => call("GET", "admin-stats", { query: { span: chosen } }, { signal }),
    [chosen],
    interval,
  );
  return (
    <>
      <Wrong loaded={alerts} />
      <Panel title="Now" loaded={stats}>{({ now }) => <Now {...now} />}</Panel>
      <Panel title={`The last ${spans[chosen]}`} loaded={stats} controls={<TimeRange />}>
        {(value) => <Went {...value} />}
      </Panel>
    </>
  );
}

function Wrong({ loaded }: { loaded: Loaded<Alerts> }) {
  return (
    <Panel title="Alerts" loaded={loaded} controls={<a href={href("alerts")}>All alerts</a>}>
      {({ alerts, incidents, next_cursor }) => {
        const away = incidents.filter(({ ended_at }) => ended_at === null);
        return (
          <>
            {alerts.length + away.length === 0 && (
              <p>
                <Status tone="good">All is well</Status> No alert is open, and nothing is away.
              </p>
            )}
            {away.length > 0 && (
              <Table
                caption="What is away"
                rows={away}
                rowKey={({ incident_id }) => incident_id}
                columns={[
                  { title: "Away", cell: ({ subject }) => subject },
                  { title: "Since", cell: ({ began_at }) => <Time at={began_at} /> },
                  { title: "Cause", cell: ({ cause }) => cause ?? "–" },
                  {
                    title: "Taken over by",
                    cell: ({ taken_over_by }) => taken_over_by.join(", ") || "nobody",
                  },
                ]}
              />
            )}
            {alerts.length > 0 && (
              <Table
                caption="Open alerts"
                rows={alerts}
                rowKey={({ alert_id }) => alert_id}
                columns={[
                  {
                    title: "Alert",
                    cell: ({ rule, subject }) => subject === "" ? rule : `${rule}: ${subject}`,
                  },
                  {
                    title: "Level",
                    cell: ({ level }) => <Status tone={level === "critical" ? "bad" : "odd"}>{level}</Status>,
                  },
                  {
                    title: "Measured",
                    isNumber: true,
                    cell: ({ value }) => value === null ? "–" : numberOf(value),
                  },
                  {
                    title: "Allowed",
                    isNumber: true,
                    cell: ({ threshold }) => threshold === null ? "–" : numberOf(threshold),
                  },
                  { title: "Raised", cell: ({ raised_at }) => <Time at={raised_at} /> },
                  { title: "Acknowledged", cell: ({ acknowledged_at }) => <Time at={acknowledged_at} /> },
                ]}
              />
            )}
            {next_cursor !== null && <p>There are more.</p>}
          </>
        );
      }}
    </Panel>
  );
}

function Now({ jobs_running, due_tasks, oldest_due_task_seconds, dead_tasks, providers }: Stats["now"]) {
  return (
    <>
      <dl>
        <dt>Jobs that run</dt>
        <dd>{numberOf(jobs_running)}</dd>
        <dt>Tasks that are due</dt>
        <dd>{numberOf(due_tasks)}</dd>
        <dt>The oldest of them waits for</dt>
        <dd>{durationOf(Math.round(oldest_due_task_seconds))}</dd>
        <dt>Dead letters</dt>
        <dd>
          {dead_tasks === 0 ? "0" : <Status tone="bad">{numberOf(dead_tasks)}</Status>}
        </dd>
      </dl>
      <Table
        caption="Providers"
        rows={providers}
        rowKey={({ provider }) => provider}
        columns={[
          { title: "Provider", cell: ({ provider }) => provider },
          { title: "State", cell: (provider) => <ProviderState {...provider} /> },
          {
            title: "Spent today (UTC)",
            isNumber: true,
            cell: ({ spent_cents_today }) => moneyOf(spent_cents_today),
          },
          {
            title: "Left today",
            isNumber: true,
            cell: ({ spent_cents_today, cap_cents }) =>
              cap_cents === null ? "no cap" : moneyOf(Math.max(0, cap_cents - spent_cents_today)),
          },
        ]}
      />
    </>
  );
}

function ProviderState({ is_enabled, breaker }: Stats["now"]["providers"][number]) {
  if (!is_enabled) return <Status tone="odd">switched off</Status>;
  if (breaker === "open") return <Status tone="bad">away</Status>;
  return breaker === "closed" ? <Status tone="good">in use</Status> : <Status tone="odd">tried again</Status>;
}

const names: Record<Stat["name"], string> = {
  jobs_accepted: "Generations",
  jobs_ended: "Generations",
  completion_seconds: "Time to complete",
  credits: "Credits",
  provider_cents: "Spent at providers",
};
const formats: Record<Stat["unit"], (value: number) => string> = {
  jobs: (value) => `${numberOf(value)} ${value === 1 ? "job" : "jobs"}`,
  seconds: (value) => `${numberOf(value)} s`,
  credits: creditsOf,
  cents: moneyOf,
};

/** Where one expects them so: red and green. */
const colours: Readonly<Record<string, number>> = { failed: 1, completed: 2 };

/** Which of several of a name it is. */
function labelOf({ labels: { outcome, movement, provider, quantile } }: Pick<Stat, "labels">): string {
  return outcome ?? movement ?? provider ??
    (quantile === undefined ? "accepted" : `p${Number(quantile) * 100}`);
}

function Went({ from, to, step_seconds, series, totals }: Stats) {
  const plots = useMemo(() =>
    [...new Set(Object.values(names))].map((title) => {
      const shown = series.filter(({ name }) => names[name] === title);
      return {
        title,
        unit: shown[0]?.unit,
        lines: shown.map(({ values, ...stat }) => {
          const name = labelOf(stat);
          return { name, values, colour: colours[name] };
        }),
      };
    }), [series]);
  return (
    <>
      <p>
        From <Time at={from} /> to <Time at={to} />, in steps of{" "}
        {durationOf(step_seconds)}, of which the last goes on.
      </p>
      <dl class="totals">
        {totals.map((stat) => (
          <div key={`${stat.name} ${labelOf(stat)}`}>
            <dt>{names[stat.name]}: {labelOf(stat)}</dt>
            <dd>{stat.value === null ? "–" : formats[stat.unit](stat.value)}</dd>
          </div>
        ))}
      </dl>
      <div class="plots">
        {plots.map(({ title, unit, lines }) =>
          unit === undefined ? <p key={title} class="empty">{title}: nothing.</p> : (
            <Plot
              key={title}
              title={title}
              from={from}
              stepSeconds={step_seconds}
              series={lines}
              format={formats[unit]}
            />
          )
        )}
      </div>
    </>
  );
}
