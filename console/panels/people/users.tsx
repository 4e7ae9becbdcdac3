/** A user: what they have, what moved it, what they did, and what admins did about them. */
import type { components } from "@kinora/client/admin";
import { Change } from "../../parts/change.tsx";
import { creditsOf, numberOf, Status, Time } from "../../parts/figures.tsx";
import { JobLink, jobStatuses, UserLink } from "../../parts/links.tsx";
import { List } from "../../parts/list.tsx";
import { useLoaded } from "../../parts/load.ts";
import { Panel } from "../../parts/panel.tsx";
import { call } from "../../session/session.ts";
import { href, route } from "../../shell/route.ts";
import { Adjust, Refund } from "./credits.tsx";

type Administered = components["schemas"]["AdministeredUser"];

export function Users() {
  const { user_id } = route.value.chosen;
  return user_id === undefined
    ? <p>Search for a user by their reference, e-mail address or id, or by one of their jobs.</p>
    : <User key={user_id} id={user_id} />;
}

function User({ id }: { id: string }) {
  const loaded = useLoaded((signal) => call("GET", "admin-users", { query: { user_id: id } }, { signal }), [
    id,
  ]);
  return (
    <>
      <Panel title={`User ${id}`} loaded={loaded}>
        {(value) => (
          <>
            <Facts {...value} />
            <div class="actions">
              <Refund userId={id} changed={loaded.reload} />
              <Adjust userId={id} changed={loaded.reload} />
              <Decide of={value} changed={loaded.reload} />
            </div>
          </>
        )}
      </Panel>
      {loaded.value && <Lists {...loaded.value} />}
    </>
  );
}

function Facts({ user, guests, credits, jobs, devices, legal_hold, erasure }: Administered) {
  return (
    <dl>
      <dt>Account</dt>
      <dd>
        {user.is_banned && <Status tone="bad">banned</Status>}
        {legal_hold !== null && <Status tone="odd">kept as evidence</Status>}
        {user.closed_at !== null && <Status tone="odd">closed</Status>}
        {user.merged_into !== null && (
          <>
            merged into <UserLink id={user.merged_into} />
          </>
        )} {user.email ?? (user.is_guest ? "a guest" : "without an e-mail address")}
      </dd>
      {guests.length > 0 && (
        <>
          <dt>Was, as a guest</dt>
          <dd>
            {guests.map((id) => <UserLink key={id} id={id} />)}
          </dd>
        </>
      )}
      <dt>Name</dt>
      <dd>{user.display_name ?? "–"}</dd>
      <dt>Language</dt>
      <dd>{user.language ?? "–"}</dd>
      <dt>Since</dt>
      <dd>
        <Time at={user.created_at} />
      </dd>
      <dt>Balance</dt>
      <dd>{creditsOf(credits.remaining)}</dd>
      <dt>Held</dt>
      <dd>{creditsOf(credits.held)}</dd>
      <dt>Owed</dt>
      <dd>{creditsOf(credits.owed)}</dd>
      <dt>Jobs</dt>
      <dd>
        <a href={href("jobs", { user_id: user.user_id })}>
          {jobStatuses.map((status) => `${numberOf(jobs[status])} ${status}`).join(", ")}
        </a>
      </dd>
      <dt>Devices</dt>
      <dd>
        {numberOf(devices.registered)} for notifications; first given a device's credits{" "}
        <Time at={devices.first_granted_at} />
      </dd>
      {user.closed_at !== null && (
        <>
          <dt>Closed</dt>
          <dd>
            <Time at={user.closed_at} />
            {erasure !== null && (erasure.erased_at === null
              ? `, to be erased; that waits for ${erasure.waits_for ?? "nothing"}`
              : ", and erased")}
          </dd>
        </>
      )}
    </dl>
  );
}

type Action = "ban" | "unban" | "hold" | "lift_hold";

const actions: Record<Action, { label: string; title: string; done: string; about: string }> = {
  ban: {
    label: "Ban",
    title: "Ban the user",
    done: "is banned",
    about: "Their sessions end, and they make no more videos. What was accepted goes on.",
  },
  unban: { label: "Unban", title: "Unban the user", done: "is not banned any more", about: "" },
  hold: {
    label: "Keep as evidence",
    title: "Keep as evidence what there is of the user",
    done: "is kept as evidence",
    about: "What they delete is hidden, and kept, until the hold is lifted. They are not told.",
  },
  lift_hold: {
    label: "Lift the hold",
    title: "Lift the hold on the user",
    done: "is not kept as evidence any more",
    about: "",
  },
};

/** What can be decided about them now. */
function Decide({ of: { user, legal_hold }, changed }: { of: Administered; changed: () => void }) {
  const offered: Action[] = [user.is_banned ? "unban" : "ban", legal_hold === null ? "hold" : "lift_hold"];
  return (
    <>
      {offered.map((action) => {
        const { label, title, done, about } = actions[action];
        return (
          <Change
            key={action}
            label={label}
            title={`${title} ${user.user_id}`}
            run={async ({ reason }) => {
              await call("POST", "admin-users", { body: { user_id: user.user_id, action, reason } });
              return `The user ${user.user_id} ${done}.`;
            }}
            changed={changed}
          >
            {about !== "" && <p>{about}</p>}
          </Change>
        );
      })}
    </>
  );
}

function Lists({ statement, lots, purchases, sessions, recent_actions }: Administered) {
  return (
    <>
      <List
        title="Statement"
        none="Nothing has moved their credits."
        rows={statement}
        rowKey={({ id }) => id}
        columns={[
          { title: "At", cell: ({ created_at }) => <Time at={created_at} /> },
          { title: "Kind", cell: ({ kind }) => kind.replaceAll("_", " ") },
          { title: "Credits", isNumber: true, cell: ({ amount }) => signed(amount) },
          { title: "Balance after", isNumber: true, cell: ({ balance_after }) => numberOf(balance_after) },
          { title: "Job", cell: ({ job_id }) => <JobLink id={job_id} /> },
        ]}
      />
      <List
        title="Lots"
        none="There are no credits to spend."
        rows={lots}
        rowKey={({ lot_id }) => `${lot_id}`}
        columns={[
          { title: "Lot", cell: ({ lot_id }) => `${lot_id}` },
          { title: "Remaining", isNumber: true, cell: ({ remaining }) => numberOf(remaining) },
          { title: "Of", isNumber: true, cell: ({ amount }) => numberOf(amount) },
          {
            title: "Expires",
            cell: ({ expires_at }) => expires_at === null ? "never" : <Time at={expires_at} />,
          },
          {
            title: "Bought in",
            cell: ({ is_sandbox }) => is_sandbox ? <Status tone="odd">sandbox</Status> : "–",
          },
        ]}
      />
      <List
        title="Purchases"
        none="They bought nothing."
        rows={purchases}
        rowKey={({ transaction_id }) => transaction_id}
        columns={[
          { title: "Transaction", cell: ({ transaction_id }) => transaction_id },
          { title: "Product", cell: ({ product_id }) => product_id },
          {
            title: "State",
            cell: ({ status, reason }) =>
              status === "not_credited"
                ? <Status tone="bad">not credited: {reason}</Status>
                : status.replaceAll("_", " "),
          },
          { title: "Credits", isNumber: true, cell: ({ credits_added }) => numberOf(credits_added) },
          { title: "Environment", cell: ({ environment }) => environment },
          { title: "Bought", cell: ({ purchased_at }) => <Time at={purchased_at} /> },
          { title: "Expires", cell: ({ expires_at }) => <Time at={expires_at} /> },
        ]}
      />
      <List
        title="Sessions"
        none="They are signed in nowhere."
        rows={sessions}
        rowKey={({ created_at, last_used_at }) => `${created_at} ${last_used_at}`}
        columns={[
          { title: "Last used", cell: ({ last_used_at }) => <Time at={last_used_at} /> },
          { title: "Begun", cell: ({ created_at }) => <Time at={created_at} /> },
          { title: "App", cell: ({ user_agent }) => user_agent ?? "–" },
        ]}
      />
      <List
        title="What admins did"
        none="Nothing."
        rows={recent_actions}
        rowKey={({ id }) => id}
        columns={[
          { title: "At", cell: ({ created_at }) => <Time at={created_at} /> },
          { title: "Action", cell: ({ action }) => action.replaceAll("_", " ") },
          { title: "Credits", isNumber: true, cell: ({ amount }) => amount === null ? "–" : signed(amount) },
          { title: "Reason", cell: ({ reason }) => reason },
          { title: "Job", cell: ({ job_id }) => <JobLink id={job_id} /> },
          { title: "Admin", cell: ({ admin_id }) => admin_id ?? "the dashboard" },
        ]}
      />
    </>
  );
}

const signed = (amount: number) => amount > 0 ? `+${numberOf(amount)}` : numberOf(amount);
