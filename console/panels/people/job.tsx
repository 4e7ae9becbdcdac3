/** All that there is of a job, on one page. */
import { useSignal } from "@preact/signals";
import { creditsOf, durationOf, moneyOf, numberOf, Status, Time } from "../../parts/figures.tsx";
import { JobLink, JobState, UserLink } from "../../parts/links.tsx";
import { List } from "../../parts/list.tsx";
import { useLoaded } from "../../parts/load.ts";
import { Panel } from "../../parts/panel.tsx";
import { ReadPrompt } from "../../parts/prompt.tsx";
import { call } from "../../session/session.ts";
import { href } from "../../shell/route.ts";
import { Refund } from "./credits.tsx";
import { momentsOf, standing, type Story } from "./story.ts";

export function Job({ id }: { id: string }) {
  const loaded = useLoaded(async (signal) => {
    const { story } = await call("GET", "admin-jobs", { query: { job_id: id } }, { signal });
    return story;
  }, [id]);
  return (
    <>
      <Panel
        title={`Job ${id}`}
        loaded={loaded}
        controls={<a href={href("jobs")}>All jobs</a>}
        empty={{ when: (story) => story === null, say: "There is no such job." }}
      >
        {(story) => story && <Facts story={story} changed={loaded.reload} />}
      </Panel>
      {loaded.value && <Lists {...loaded.value} />}
    </>
  );
}

function Facts({ story, changed }: { story: Story; changed: () => void }) {
  const { job, files, postings, admin_actions } = story;
  const prompt = useSignal<{ text: string | null } | null>(null);
  const video = files.find(({ kind }) => kind === "video")?.url ?? null;
  const held = Math.abs(postings.find(({ kind }) => kind === "hold")?.amount ?? 0);
  const isCompleted = job.status === "completed";
  const isRefunded = admin_actions.some(({ action }) =>
    action === "refund_credits" || action === "refund_removal"
  );
  return (
    <>
      <p>
        <JobState status={job.status} /> {standing(job)} {job.due_at !== null && (
          <>
            What it waits for now must come before <Time at={job.due_at} />.
          </>
        )}
      </p>
      {video !== null && (
        <video class="video" controls preload="metadata" src={video} aria-label="The video" />
      )}
      <dl>
        <dt>User</dt>
        <dd>
          <UserLink id={job.user_id} />
        </dd>
        <dt>Model</dt>
        <dd>{job.model_name}</dd>
        <dt>Size</dt>
        <dd>{sizeOf(job.settings)}</dd>
        <dt>Provider</dt>
        <dd>{job.provider ?? "none yet"}</dd>
        <dt>Credits</dt>
        <dd>{numberOf(job.credits_used)}</dd>
        <dt>Request</dt>
        <dd>{job.request_id ?? "erased"}</dd>
        <dt>The app's name for it</dt>
        <dd>{job.client_reference ?? "–"}</dd>
        {job.source_job_id !== null && (
          <>
            <dt>Made from</dt>
            <dd>
              <JobLink id={job.source_job_id} />
            </dd>
          </>
        )}
        {job.error_details !== null && (
          <>
            <dt>Details of the error</dt>
            <dd>{JSON.stringify(job.error_details)}</dd>
          </>
        )}
        {job.flag !== null && (
          <>
            <dt>Flagged</dt>
            <dd>{job.flag}</dd>
          </>
        )}
        {prompt.value !== null && (
          <>
            <dt>Prompt</dt>
            <dd class="prompt">{prompt.value.text ?? "erased"}</dd>
          </>
        )}
      </dl>
      <div class="actions">
        <ReadPrompt jobId={job.job_id} read={(text) => prompt.value = { text }} changed={changed} />
        {isRefunded && <Status>refunded</Status>}
        {!(isCompleted && isRefunded) && (
          <Refund
            userId={job.user_id}
            amount={isCompleted ? job.credits_used : held}
            {...(isCompleted && { jobId: job.job_id })}
            changed={changed}
          >
            {!isCompleted && (
              <p>
                It has no video, so the {creditsOf(held)} that it{" "}
                {job.completed_at === null ? "holds come" : "held came"}{" "}
                back by themselves. What you give is given beside them, to the user{" "}
                <UserLink id={job.user_id} />: whether somebody has given it already, their page tells.
              </p>
            )}
          </Refund>
        )}
      </div>
    </>
  );
}

function sizeOf({ duration_seconds, resolution, aspect_ratio }: Story["job"]["settings"]): string {
  const length = duration_seconds === undefined ? undefined : durationOf(duration_seconds);
  return [length, resolution, aspect_ratio].filter((part) => part !== undefined).join(", ") ||
    "the model's own";
}

function Lists(story: Story) {
  return (
    <>
      <section class="panel" aria-label="What happened">
        <h2>What happened</h2>
        <ol class="story">
          {momentsOf(story).map(({ at, text, tone }, index) => (
            <li key={index} class={tone}>
              <Time at={at} /> <span>{text}</span>
            </li>
          ))}
        </ol>
      </section>
      <List
        title="Postings"
        none="It moved no credits."
        rows={story.postings}
        rowKey={({ id }) => id}
        columns={[
          { title: "Kind", cell: ({ kind }) => kind },
          {
            title: "Credits",
            isNumber: true,
            // What the hold has taken is only kept.
            cell: ({ kind, amount }) => kind === "capture" ? "–" : numberOf(amount),
          },
          {
            title: "Balance after",
            isNumber: true,
            cell: ({ kind, balance_after }) =>
              kind === "capture" || balance_after === null ? "–" : numberOf(balance_after),
          },
          { title: "At", cell: ({ created_at }) => <Time at={created_at} /> },
          { title: "Transfer", cell: ({ id }) => <span class="id">{id}</span> },
        ]}
      />
      <List
        title="Submissions"
        none="It was sent to no provider."
        rows={story.submissions}
        rowKey={({ submission_id }) => submission_id}
        columns={[
          { title: "To", cell: ({ provider, provider_model }) => `${provider}: ${provider_model}` },
          { title: "State", cell: ({ state }) => state },
          { title: "The provider's request", cell: ({ request_id }) => request_id ?? "–" },
          { title: "Cause", cell: ({ cause }) => cause ?? "–" },
          { title: "Cost", isNumber: true, cell: ({ cost_cents }) => moneyOf(cost_cents) },
          { title: "Sent", cell: ({ claimed_at }) => <Time at={claimed_at} /> },
          { title: "Accepted", cell: ({ accepted_at }) => <Time at={accepted_at} /> },
          { title: "Ended", cell: ({ ended_at }) => <Time at={ended_at} /> },
          { title: "Submission", cell: ({ submission_id }) => <span class="id">{submission_id}</span> },
        ]}
      />
      <List
        title="Provider events"
        none="No provider reported anything."
        rows={story.provider_events}
        rowKey={({ submission_id, event_id }) => `${submission_id} ${event_id}`}
        columns={[
          { title: "Event", cell: ({ event_id }) => <span class="id">{event_id}</span> },
          { title: "Provider", cell: ({ provider }) => provider },
          { title: "State", cell: ({ state }) => state ?? "erased" },
          { title: "Effect", cell: ({ effect }) => effect },
          { title: "Received", cell: ({ received_at }) => <Time at={received_at} /> },
        ]}
      />
      <List
        title="Tasks"
        none="No task is left."
        rows={story.tasks}
        rowKey={({ task_id }) => `${task_id}`}
        columns={[
          { title: "Task", cell: ({ kind, task_id }) => `${kind} ${task_id}` },
          {
            title: "State",
            cell: ({ failed_at, leased_until }) => {
              if (failed_at !== null) return <Status tone="bad">dead letter</Status>;
              return leased_until === null ? "waits" : "runs";
            },
          },
          { title: "Tries", isNumber: true, cell: ({ attempts }) => numberOf(attempts) },
          { title: "Due", cell: ({ run_at }) => <Time at={run_at} /> },
          { title: "Last error", cell: ({ last_error }) => last_error ?? "–" },
        ]}
      />
      <List
        title="Files"
        none="It has no files."
        rows={story.files}
        rowKey={({ kind }) => kind}
        columns={[
          { title: "File", cell: ({ kind, url }) => url === null ? kind : <a href={url}>{kind}</a> },
          { title: "Type", cell: ({ content_type }) => content_type },
          { title: "Bytes", isNumber: true, cell: ({ bytes }) => numberOf(bytes) },
          {
            title: "Size",
            cell: ({ width, height }) => width === null || height === null ? "–" : `${width} × ${height}`,
          },
          {
            title: "Length",
            isNumber: true,
            cell: ({ duration_milliseconds: length }) =>
              length === null ? "–" : `${numberOf(length / 1000)} s`,
          },
          {
            title: "As ordered",
            isNumber: true,
            cell: ({ quality }) => quality === null ? "–" : `${quality} of 100`,
          },
        ]}
      />
      <List
        title="Errors of its request"
        none="None."
        rows={story.errors}
        rowKey={({ code, endpoint, occurred_at }) => `${code} ${endpoint} ${occurred_at}`}
        columns={[
          { title: "Error", cell: ({ code }) => code },
          { title: "Endpoint", cell: ({ endpoint }) => endpoint },
          { title: "Times", isNumber: true, cell: ({ count }) => numberOf(count) },
          { title: "Context", cell: ({ context }) => JSON.stringify(context) },
          { title: "At", cell: ({ occurred_at }) => <Time at={occurred_at} /> },
        ]}
      />
    </>
  );
}
