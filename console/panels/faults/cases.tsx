/** Videos that somebody objects to, and what the operator decides. */
import type { components } from "@kinora/client/admin";
import { useSignal } from "@preact/signals";
import { Change } from "../../parts/change.tsx";
import { ChoiceField, choiceOf } from "../../parts/fields.tsx";
import { chosenOf, OneOf } from "../../parts/filters.tsx";
import { countOf, Status, Time, type Tone } from "../../parts/figures.tsx";
import { JobLink, UserLink } from "../../parts/links.tsx";
import { usePages } from "../../parts/load.ts";
import { Panel } from "../../parts/panel.tsx";
import { ReadPrompt } from "../../parts/prompt.tsx";
import { Table } from "../../parts/table.tsx";
import { call } from "../../session/session.ts";

type Case = components["schemas"]["SafetyCase"];
type Decision = components["schemas"]["PatchAdminReportsRequest"]["decision"];

const statuses = {
  open: "Open",
  appealed: "Appealed",
  removed: "Removed",
  kept: "Kept",
  restored: "Restored",
  all: "All",
};
const tones: Readonly<Record<Case["status"], Tone>> = {
  open: "bad",
  appealed: "odd",
  removed: "plain",
  kept: "good",
  restored: "good",
};
const decisions: Readonly<Record<Decision, string>> = {
  keep: "Keep the video",
  remove: "Remove the video",
  suspend: "Remove the video and suspend its user",
  grant: "Grant the appeal",
  reject: "Reject the appeal",
};
/** What can be decided of a case in a state. */
const possible: Readonly<Record<Case["status"], readonly Decision[]>> = {
  open: ["keep", "remove", "suspend"],
  kept: ["remove", "suspend"],
  restored: ["remove", "suspend"],
  appealed: ["grant", "reject"],
  removed: [],
};
const grounds: Readonly<Record<NonNullable<Case["ground"]>, string>> = {
  sexual: "Sexual",
  minors: "Minors",
  violence: "Violence",
  hate: "Hate",
  harassment: "Harassment",
  real_person: "A real person",
  copyright: "Copyright",
  illegal: "Illegal",
  other: "Other",
};

export function Cases() {
  const status = chosenOf("status", statuses, "open");
  const loaded = usePages(
    (cursor, options) =>
      call(
        "GET",
        "admin-reports",
        { query: { ...(status !== "all" && { status }), ...cursor } },
        options,
      ),
    [status],
  );
  return (
    <Panel
      title="Videos that somebody objects to"
      loaded={loaded}
      empty={{ when: ([page]) => page?.cases.length === 0, say: "There are no such cases." }}
      controls={<OneOf legend="Cases" name="status" options={statuses} value={status} />}
    >
      {(pages) => (
        <Table
          caption="Videos that somebody objects to"
          rows={pages.flatMap(({ cases }) => cases)}
          rowKey={({ case_id }) => case_id}
          more={loaded.more}
          columns={[
            { title: "Job", cell: ({ job_id }) => <JobLink id={job_id} /> },
            {
              title: "User",
              cell: ({ user_id }) => <UserLink id={user_id} />,
            },
            { title: "State", cell: ({ status }) => <Status tone={tones[status]}>{status}</Status> },
            { title: "Opened", cell: ({ opened_at }) => <Time at={opened_at} /> },
            { title: "Due", cell: ({ due_at }) => <Time at={due_at} /> },
            { title: "What is said", cell: (what) => <Said {...what} /> },
            { title: "Change", cell: (what) => <Decide of={what} decided={loaded.reload} /> },
          ]}
        />
      )}
    </Panel>
  );
}

function Said({ job_id, has_prompt, ground, appeal, report_count, reports, notice_count, notices }: Case) {
  const prompt = useSignal<string | null>(null);
  return (
    <details>
      <summary>{countOf(report_count, "report")}, {countOf(notice_count, "notice")}</summary>
      <dl>
        <dt>Prompt</dt>
        <dd class="prompt">
          {!has_prompt
            ? "–"
            : prompt.value ?? <ReadPrompt jobId={job_id} read={(text) => prompt.value = text ?? "erased"} />}
        </dd>
        {ground !== null && (
          <>
            <dt>Removed for</dt>
            <dd>{grounds[ground]}</dd>
          </>
        )}
        {appeal !== null && (
          <>
            <dt>Appeal</dt>
            <dd>{appeal}</dd>
          </>
        )}
        {reports.map(({ user_id, reason, details, created_at }) => (
          <>
            <dt>Report</dt>
            <dd>
              {grounds[reason]}, <Time at={created_at} />, by <UserLink id={user_id} />: {details ?? "–"}
            </dd>
          </>
        ))}
        {notices.map(({ contact, statement, received_at }) => (
          <>
            <dt>Notice</dt>
            <dd>
              <Time at={received_at} />, by {contact}: {statement}
            </dd>
          </>
        ))}
      </dl>
    </details>
  );
}

function Decide({ of: { case_id, job_id, status }, decided }: { of: Case; decided: () => void }) {
  const choices = Object.fromEntries(possible[status].map((decision) => [decision, decisions[decision]]));
  if (possible[status].length === 0) return <>–</>;
  return (
    <Change
      label="Decide"
      title={`Decide about the video of ${job_id}`}
      run={async ({ reason, form }) => {
        const decision = choiceOf(form, "decision", decisions) ?? "keep";
        const removes = decision === "remove" || decision === "suspend";
        const decidedCase = await call("PATCH", "admin-reports", {
          body: {
            case_id,
            decision,
            ground: removes ? choiceOf(form, "ground", grounds) ?? null : null,
            reason,
          },
        });
        return `The case is ${decidedCase.status}.`;
      }}
      changed={decided}
    >
      <ChoiceField
        label="Decision"
        name="decision"
        value=""
        options={{ "": "Choose one", ...choices }}
      />
      {status !== "appealed" && (
        <ChoiceField
          label="Ground of a removal, which its user is told"
          name="ground"
          value=""
          options={{ "": "None", ...grounds }}
          isRequired={false}
        />
      )}
    </Change>
  );
}
