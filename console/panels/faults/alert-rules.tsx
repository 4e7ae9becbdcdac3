/** The rules by which alerts are raised, and what they do beside telling. */
import type { components } from "@kinora/client/admin";
import { Change } from "../../parts/change.tsx";
import {
  changed,
  CheckField,
  ChoiceField,
  choiceOf,
  NumberField,
  numberIn,
  TextField,
  wordsIn,
} from "../../parts/fields.tsx";
import { durationOf, numberOf, Status } from "../../parts/figures.tsx";
import { Part } from "../../parts/panel.tsx";
import { Table } from "../../parts/table.tsx";
import { call } from "../../session/session.ts";

type Rule = components["schemas"]["AlertRule"];

const actions = { notify: "Tells", throttle: "Lowers limits", shutdown: "Switches flags off" };

export function AlertRules({ rules, changed }: { rules: readonly Rule[]; changed: () => void }) {
  return (
    <Part title="Rules">
      <Table
        caption="Rules"
        rows={rules}
        rowKey={({ rule }) => rule}
        columns={[
          { title: "Rule", cell: ({ rule }) => rule },
          { title: "What", cell: ({ what }) => what },
          {
            title: "Measured over",
            isNumber: true,
            cell: ({ measured_over_seconds }) => durationOf(measured_over_seconds),
          },
          { title: "Warning", isNumber: true, cell: (rule) => <Bound rule={rule} bound={rule.warning} /> },
          { title: "Critical", isNumber: true, cell: (rule) => <Bound rule={rule} bound={rule.critical} /> },
          { title: "Does", cell: (rule) => <Doing {...rule} /> },
          { title: "Now", cell: (rule) => <State {...rule} /> },
          { title: "Change", cell: (rule) => <ChangeRule rule={rule} done={changed} /> },
        ]}
      />
    </Part>
  );
}

function Bound({ rule, bound }: { rule: Rule; bound: number | null }) {
  return bound === null ? <>–</> : <>{rule.is_low_bad ? "≤" : "≥"} {numberOf(bound)}</>;
}

function Doing({ action, acts_at, policies, throttle_percent, flags, is_pinned }: Rule) {
  if (action === "notify") return <>{actions.notify}</>;
  const what = action === "throttle"
    ? `Leaves ${throttle_percent} % of ${policies.join(", ")}`
    : `Switches off ${flags.join(", ")}`;
  return <>{what} from {acts_at} on{is_pinned && ", until somebody ends it"}</>;
}

function State({ is_enabled, acting_on, last_error }: Rule) {
  if (!is_enabled) return <Status>off</Status>;
  if (last_error !== null) return <Status tone="bad">fails: {last_error}</Status>;
  return acting_on.length > 0
    ? <Status tone="odd">acts on {acting_on.join(", ")}</Status>
    : <Status tone="good">on</Status>;
}

function ChangeRule({ rule, done }: { rule: Rule; done: () => void }) {
  return (
    <Change
      label="Change"
      title={`Change the rule ${rule.rule}`}
      run={async ({ reason, form }) => {
        await call("PATCH", "admin-alerts", {
          body: {
            rule: rule.rule,
            warning: changed(rule.warning, numberIn(form, "warning")),
            critical: changed(rule.critical, numberIn(form, "critical")),
            action: changed(rule.action, choiceOf(form, "action", actions)),
            policies: changed(rule.policies, wordsIn(form, "policies")),
            throttle_percent: changed(rule.throttle_percent, Number(form.get("throttle_percent"))),
            flags: changed(rule.flags, wordsIn(form, "flags")),
            is_pinned: changed(rule.is_pinned, form.has("is_pinned")),
            is_enabled: changed(rule.is_enabled, form.has("is_enabled")),
            reason,
          },
        });
        return `The rule ${rule.rule} is changed, and counts from the next minute on.`;
      }}
      changed={done}
    >
      <p>{rule.what}.</p>
      {/* A bound that is there can be moved, and not taken away. */}
      <NumberField label="Warning" name="warning" value={rule.warning} isRequired={rule.warning !== null} />
      <NumberField
        label="Critical"
        name="critical"
        value={rule.critical}
        isRequired={rule.critical !== null}
      />
      <ChoiceField label="Does" name="action" value={rule.action} options={actions} />
      <TextField
        label="Limits that it lowers"
        name="policies"
        value={rule.policies.join(", ")}
        isRequired={false}
      />
      <NumberField
        label="Percent that it leaves of them"
        name="throttle_percent"
        value={rule.throttle_percent}
        min={10}
        max={99}
      />
      <TextField
        label="Flags that it switches off"
        name="flags"
        value={rule.flags.join(", ")}
        isRequired={false}
      />
      <CheckField label="Until somebody ends it" name="is_pinned" value={rule.is_pinned} />
      <CheckField label="On" name="is_enabled" value={rule.is_enabled} />
    </Change>
  );
}
