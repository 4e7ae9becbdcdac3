/** The queue: what waits by kind, and the tasks that have used all their tries. */
import type { components } from "@kinora/client/admin";
import { Change } from "../../parts/change.tsx";
import { chosenTexts, TextFilters } from "../../parts/filters.tsx";
import { durationOf, numberOf, Status, Time } from "../../parts/figures.tsx";
import { SearchLink } from "../../parts/links.tsx";
import { usePages } from "../../parts/load.ts";
import { Panel, Part } from "../../parts/panel.tsx";
import { Table } from "../../parts/table.tsx";
import { call } from "../../session/session.ts";

type Kind = components["schemas"]["QueueKind"];
type Task = components["schemas"]["QueueTask"];

const filters = { kind: "Kind" };

export function DeadLetters() {
  const filter = chosenTexts(filters);
  const loaded = usePages(
    (cursor, options) => call("GET", "admin-queue", { query: { ...filter, ...cursor } }, options),
    [JSON.stringify(filter)],
  );
  const first = loaded.value?.[0];
  return (
    <>
      <Panel
        title="Tasks that have failed for good"
        loaded={loaded}
        empty={{ when: ([page]) => page?.tasks.length === 0, say: "There are no dead letters." }}
        controls={<TextFilters names={filters} />}
      >
        {(pages) => (
          <Table
            caption="Tasks that have failed for good"
            rows={pages.flatMap(({ tasks }) => tasks)}
            rowKey={({ task_id }) => `${task_id}`}
            more={loaded.more}
            columns={[
              { title: "Task", cell: ({ kind, task_id }) => `${kind} ${task_id}` },
              { title: "About", cell: ({ subject }) => <SearchLink query={subject} /> },
              { title: "Of user", cell: ({ owner_id }) => <SearchLink query={owner_id} /> },
              { title: "Went wrong last", cell: ({ last_error }) => last_error ?? "–" },
              { title: "Attempts", isNumber: true, cell: ({ attempts }) => numberOf(attempts) },
              { title: "Failed", cell: ({ failed_at }) => <Time at={failed_at} /> },
              { title: "Made", cell: ({ created_at }) => <Time at={created_at} /> },
              { title: "Request", cell: ({ request_id }) => <SearchLink query={request_id} /> },
              { title: "Change", cell: (task) => <Replay task={task} replayed={loaded.reload} /> },
            ]}
          />
        )}
      </Panel>
      {first && <Kinds kinds={first.kinds} />}
    </>
  );
}

function Replay({ task: { task_id, kind }, replayed }: { task: Task; replayed: () => void }) {
  return (
    <Change
      label="Replay"
      title={`Replay ${kind} ${task_id}`}
      run={async ({ reason }) => {
        await call("POST", "admin-queue", { body: { task_id, reason } });
        return `${kind} ${task_id} is tried again, from its first attempt.`;
      }}
      changed={replayed}
    />
  );
}

function Kinds({ kinds }: { kinds: readonly Kind[] }) {
  return (
    <Part title="The queue">
      {kinds.length === 0 ? <p class="empty">The queue is empty.</p> : (
        <Table
          caption="The queue"
          rows={kinds}
          rowKey={({ kind }) => kind}
          columns={[
            { title: "Kind", cell: ({ kind }) => kind },
            { title: "Due", isNumber: true, cell: ({ due }) => numberOf(due) },
            {
              title: "Oldest due for",
              isNumber: true,
              cell: ({ oldest_due_seconds }) => durationOf(Math.round(oldest_due_seconds)),
            },
            { title: "With a worker", isNumber: true, cell: ({ running }) => numberOf(running) },
            {
              title: "Dead",
              isNumber: true,
              cell: ({ dead }) => dead === 0 ? "0" : <Status tone="bad">{numberOf(dead)}</Status>,
            },
          ]}
        />
      )}
    </Part>
  );
}
