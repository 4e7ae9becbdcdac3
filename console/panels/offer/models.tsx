/** The models: what is offered, and who makes it. */
import type { components } from "@kinora/client/admin";
import { Change } from "../../parts/change.tsx";
import { creditsOf, moneyOf, Status } from "../../parts/figures.tsx";
import { useLoaded } from "../../parts/load.ts";
import { Panel } from "../../parts/panel.tsx";
import { Table } from "../../parts/table.tsx";
import { call } from "../../session/session.ts";

type AdminModel = components["schemas"]["AdminModelsResponse"]["models"][number];

export function Models() {
  const loaded = useLoaded((signal) => call("GET", "admin-models", {}, { signal }));
  return (
    <Panel
      title="All models"
      loaded={loaded}
      empty={{ when: ({ models }) => models.length === 0, say: "There are no models." }}
    >
      {({ models }) => (
        <Table
          caption="All models"
          rows={models}
          rowKey={({ id }) => id}
          columns={[
            { title: "Model", cell: ({ name }) => name },
            { title: "Makes", cell: ({ category }) => category.replaceAll("_", " ") },
            {
              title: "Price",
              cell: ({ pricing: { credits, type } }) => `${creditsOf(credits)} ${type.replace("_", " ")}`,
            },
            { title: "Providers", cell: ({ providers }) => <Providers providers={providers} /> },
            { title: "Now", cell: (model) => <Offered {...model} /> },
            { title: "Change", cell: (model) => <ChangeModel model={model} changed={loaded.reload} /> },
          ]}
        />
      )}
    </Panel>
  );
}

function Offered({ is_available, providers }: AdminModel) {
  if (!is_available) return <Status>off</Status>;
  return providers.some(({ is_enabled }) => is_enabled)
    ? <Status tone="good">offered</Status>
    : <Status tone="bad">offered, no provider</Status>;
}

function Providers({ providers }: Pick<AdminModel, "providers">) {
  return (
    <ul class="plain">
      {providers.map(({ provider, is_enabled, breaker, cost_cents }) => (
        <li key={provider}>
          {provider}, {moneyOf(cost_cents)} {!is_enabled && <Status tone="odd">off</Status>}
          {breaker !== "closed" && <Status tone="bad">{breaker.replace("_", " ")}</Status>}
        </li>
      ))}
    </ul>
  );
}

function ChangeModel({ model: { id, name, is_available }, changed }: {
  model: AdminModel;
  changed: () => void;
}) {
  const label = is_available ? "Turn off" : "Turn on";
  return (
    <Change
      label={label}
      title={`${label} the model ${name}`}
      run={async ({ reason }) => {
        await call("PATCH", "admin-models", {
          body: { model_id: id, is_available: !is_available, reason },
        });
        return `${name} is ${is_available ? "not offered any more" : "offered"}.`;
      }}
      changed={changed}
    >
      <p>
        {is_available
          ? "New videos are refused at once. Those that were accepted go on."
          : "The catalogue of the apps has it within a minute."}
      </p>
    </Change>
  );
}
