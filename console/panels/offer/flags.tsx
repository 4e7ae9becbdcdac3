/** The feature flags: the backend's own switches first, then what the apps ask for. */
import type { components } from "@kinora/client/admin";
import { Change } from "../../parts/change.tsx";
import {
  changed,
  CheckField,
  ChoiceField,
  choiceOf,
  JsonField,
  jsonOf,
  textOf,
} from "../../parts/fields.tsx";
import { countOf, Status } from "../../parts/figures.tsx";
import { useLoaded } from "../../parts/load.ts";
import { Panel } from "../../parts/panel.tsx";
import { Table } from "../../parts/table.tsx";
import { call } from "../../session/session.ts";

type Flag = components["schemas"]["Flag"];
type Rules = components["schemas"]["NewFlagRule"][];

export function Flags() {
  const loaded = useLoaded((signal) => call("GET", "admin-flags", {}, { signal }));
  return (
    <Panel
      title="Feature flags"
      loaded={loaded}
      empty={{ when: ({ flags }) => flags.length === 0, say: "There are no flags." }}
    >
      {({ flags }) => (
        <Table
          caption="Feature flags"
          rows={[...flags].sort((a, b) => Number(b.is_switch) - Number(a.is_switch))}
          rowKey={({ key }) => key}
          columns={[
            { title: "Flag", cell: ({ key }) => key },
            { title: "What it is", cell: ({ description }) => description ?? "–" },
            {
              title: "Now",
              cell: ({ is_enabled }) =>
                is_enabled ? <Status tone="good">on</Status> : <Status tone="odd">off</Status>,
            },
            { title: "Variants", cell: (flag) => <Variants {...flag} /> },
            { title: "Rules", cell: ({ rules }) => <Rules rules={rules} /> },
            { title: "Change", cell: (flag) => <ChangeFlag flag={flag} changed={loaded.reload} /> },
          ]}
        />
      )}
    </Panel>
  );
}

function Variants({ variants, default_variant, off_variant, is_experiment }: Flag) {
  return (
    <>
      <ul class="plain">
        {Object.entries(variants).map(([name, value]) => (
          <li key={name}>
            {name}: <code>{JSON.stringify(value)}</code>
            {name === default_variant && " (default)"}
            {name === off_variant && " (off)"}
          </li>
        ))}
      </ul>
      {is_experiment && <Status>experiment</Status>}
    </>
  );
}

function Rules({ rules }: Pick<Flag, "rules">) {
  return rules.length === 0 ? <>–</> : (
    <details>
      <summary>{countOf(rules.length, "rule")}</summary>
      <pre>{jsonOf(rules)}</pre>
    </details>
  );
}

function ChangeFlag({ flag, changed: done }: { flag: Flag; changed: () => void }) {
  const variants = Object.fromEntries(Object.keys(flag.variants).map((name) => [name, name]));
  return (
    <Change
      label="Change"
      title={`Change the flag ${flag.key}`}
      run={async ({ reason, form }) => {
        const { is_enabled } = await call("PATCH", "admin-flags", {
          body: {
            key: flag.key,
            is_enabled: changed(flag.is_enabled, form.has("is_enabled")),
            reason,
            ...(!flag.is_switch && {
              is_experiment: changed(flag.is_experiment, form.has("is_experiment")),
              default_variant: changed(flag.default_variant, choiceOf(form, "default_variant", variants)),
              rules: changed(flag.rules as Rules, JSON.parse(textOf(form, "rules")) as Rules),
            }),
          },
        });
        return `${flag.key} is ${is_enabled ? "on" : "off"}.`;
      }}
      changed={done}
    >
      <CheckField label="On" name="is_enabled" value={flag.is_enabled} />
      {!flag.is_switch && (
        <>
          <ChoiceField
            label="Default"
            name="default_variant"
            value={flag.default_variant}
            options={variants}
          />
          <CheckField label="An experiment" name="is_experiment" value={flag.is_experiment} />
          <JsonField label="Rules, as JSON" name="rules" value={flag.rules} />
        </>
      )}
    </Change>
  );
}
