/** What a webhook was told, and what became of it. */
import type { components } from "@kinora/client/admin";
import { Act } from "../../parts/act.tsx";
import { chosenOf, OneOf } from "../../parts/filters.tsx";
import { numberOf, Status, Time, type Tone } from "../../parts/figures.tsx";
import { usePages } from "../../parts/load.ts";
import { Panel } from "../../parts/panel.tsx";
import { Table } from "../../parts/table.tsx";
import { call } from "../../session/session.ts";

type Delivery = components["schemas"]["WebhookDelivery"];

const statuses = { all: "All", pending: "Pending", delivered: "Delivered", dropped: "Dropped", dead: "Dead" };
const tones: Readonly<Record<Delivery["status"], Tone>> = {
  pending: "plain",
  delivered: "good",
  dropped: "odd",
  dead: "bad",
};

export function Deliveries({ webhookId, url = webhookId }: { webhookId: string; url: string | undefined }) {
  const status = chosenOf("status", statuses, "all");
  const loaded = usePages(
    (cursor, options) =>
      call(
        "GET",
        "admin-webhook-deliveries",
        { query: { webhook_id: webhookId, ...(status !== "all" && { status }), ...cursor } },
        options,
      ),
    [webhookId, status],
  );
  return (
    <Panel
      title={`Deliveries to ${url}`}
      loaded={loaded}
      empty={{ when: ([page]) => page?.deliveries.length === 0, say: "There are no such deliveries." }}
      controls={
        <>
          <OneOf legend="Deliveries" name="status" options={statuses} value={status} />
          <button type="button" onClick={loaded.reload}>Look again</button>
        </>
      }
    >
      {(pages) => (
        <Table
          caption={`Deliveries to ${url}`}
          rows={pages.flatMap(({ deliveries }) => deliveries)}
          rowKey={({ delivery_id }) => delivery_id}
          more={loaded.more}
          columns={[
            { title: "Event", cell: ({ type }) => type },
            { title: "From", cell: ({ created_at }) => <Time at={created_at} /> },
            {
              title: "State",
              cell: ({ status, reason }) => (
                <Status tone={tones[status]}>{status}{reason !== null && `: ${reason}`}</Status>
              ),
            },
            { title: "Attempts", isNumber: true, cell: ({ attempts }) => numberOf(attempts) },
            { title: "Last", cell: ({ attempted_at }) => <Time at={attempted_at} /> },
            { title: "Next", cell: ({ next_attempt_at }) => <Time at={next_attempt_at} /> },
            { title: "Answer", cell: ({ response }) => <Answer response={response} /> },
            { title: "Change", cell: (delivery) => <SendAgain delivery={delivery} sent={loaded.reload} /> },
          ]}
        />
      )}
    </Panel>
  );
}

function Answer({ response }: Pick<Delivery, "response">) {
  return response === null ? <>–</> : (
    <>
      {response.status ?? "none"} after {numberOf(response.duration_ms)} ms
      {response.text !== "" && <pre>{response.text}</pre>}
    </>
  );
}

function SendAgain({ delivery: { delivery_id, type, event_id }, sent }: {
  delivery: Delivery;
  sent: () => void;
}) {
  return (
    <Act
      label="Send again"
      title={`Send again ${type} ${event_id}`}
      run={async () => {
        await call("POST", "admin-webhook-deliveries", { body: { delivery_id } });
        return `${type} is on its way again.`;
      }}
      done={sent}
    />
  );
}
