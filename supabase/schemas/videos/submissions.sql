create type videos.submission_state as enum (
  'sending', -- claimed; the request may be on its way, and nobody sends it again
  'accepted', -- the provider named its id
  'not_accepted', -- proof that the provider does not have it
  'unknown', -- the answer was lost: its webhook or its deadline decides
  'refused', -- the provider will never do it
  'ended' -- the provider said how it ended
);

create table videos.submissions (
  id uuid primary key default core.new_id(),
  job_id uuid not null references videos.jobs,
  owner_id uuid not null,
  provider text not null,
  provider_model text not null,
  state videos.submission_state not null default 'sending',
  request_id text,
  -- What the adapter needs to find it again.
  provider_references jsonb,
  cost_cents numeric not null,
  cause text,
  claimed_at timestamptz not null,
  accepted_at timestamptz,
  -- Since when the provider says that it does not know the request any more.
  missing_since timestamptz,
  ended_at timestamptz,
  -- The day in UTC whose spending its cost is part of; null since it is known that it was not billed.
  counted_on date,
  check ((state in ('accepted', 'ended')) <= (request_id is not null))
) with (fillfactor = 80);
alter table videos.submissions enable row level security;
create index submissions_job on videos.submissions (job_id);
create unique index submissions_request on videos.submissions (provider, request_id) where request_id is not null;
create index submissions_in_flight on videos.submissions (provider)
  where state in ('sending', 'accepted', 'unknown');
-- No job is ever at two providers: at most one submission that a provider has, or may have.
create unique index submissions_open on videos.submissions (job_id)
  where state in ('sending', 'accepted', 'unknown');
-- What a provider did not take while it was away, and others did.
create index submissions_not_accepted on videos.submissions (provider, claimed_at) where state = 'not_accepted';
comment on table videos.submissions is 'Each attempt to hand a job to a provider.';

-- Webhooks as they came, once each.
create table videos.provider_events (
  provider text not null,
  event_id text not null,
  submission_id uuid not null references videos.submissions,
  owner_id uuid not null,
  request_id text not null,
  state jsonb not null,
  -- What it did: `applied`, `asked` (a poll was made of it), or `ignored`.
  effect text not null check (effect in ('applied', 'asked', 'ignored')),
  received_at timestamptz not null,
  -- Of a submission, and so of its provider: an event that was sent to the URL of another must not stand in for its own
  -- delivery.
  primary key (submission_id, event_id)
);
alter table videos.provider_events enable row level security;
comment on table videos.provider_events is 'What the providers reported, proved to be theirs.';

create function videos.alert_about(p_submission videos.submissions, p_answer jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Tells the operator where a provider's answer, as the port names it, is one that only they can mend: a key or a
-- balance that it does not take, a model that it does not have, an input that it does not understand. Locks: the alert.
begin
  if (p_answer ->> 'needs_operator')::boolean then
    perform ops.raise_alert('provider_refuses', p_submission.provider, jsonb_build_object(
      'provider_model', p_submission.provider_model, 'submission_id', p_submission.id,
      'cause', coalesce(p_answer ->> 'cause', p_answer #>> '{failure,cause}')
    ));
  end if;
end;
$$;

create function videos.refuse_claim(p_job_id uuid, p_verdict jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- What it means for a job that the moderation service did not let its prompt pass. `refused`: it ends with
-- prompt/refused and its hold is released. `unavailable`: the task waits, by its backoff and no shorter than the service
-- asks; the job's bound ends it. Of several verdicts the first counts; after the job has gone on none does.
-- Locks: account → job → lots → task → alert.
declare
  v_job videos.jobs;
begin
  v_job := videos.lock_job(p_job_id);
  if v_job.status is distinct from 'pending' or v_job.moderated_at is not null then
    return;
  end if;
  if p_verdict ->> 'verdict' = 'refused' then
    update videos.jobs as j
    set flag = (select string_agg(c.name, ', ') from jsonb_array_elements_text(p_verdict -> 'categories') as c (name))
    where j.id = p_job_id;
    perform videos.settle_video_job(p_job_id, 'failed', core.error_code('prompt/refused'), '{"reason": "policy"}');
    return;
  end if;
  perform queue.postpone('submit', p_job_id, p_verdict ->> 'cause', (p_verdict ->> 'retry_after_seconds')::numeric);
  if (p_verdict ->> 'needs_operator')::boolean then
    perform ops.raise_alert('moderation_refuses', 'moderation', jsonb_build_object('cause', p_verdict -> 'cause'));
  end if;
end;
$$;

-- Where a job is, or was last; null before its first submission.
create function videos.provider_of(p_job_id uuid)
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select s.provider from videos.submissions as s where s.job_id = p_job_id order by s.claimed_at desc limit 1
  );
end;
$$;

-- How long the answer to a job's request is waited for; null where no request is on its way.
create function videos.sending_until(p_job_id uuid)
returns timestamptz
language sql
stable
set search_path = ''
as $$
  select max(s.claimed_at) + queue.timeout('submit')
  from videos.submissions as s
  where s.job_id = p_job_id and s.state = 'sending'
$$;
create index provider_events_received_at on videos.provider_events using brin (received_at) with (autosummarize = on);
-- Appended to in the order of their times, which is what a BRIN needs to find a day at next to no cost.
create index submissions_claimed_at on videos.submissions using brin (claimed_at) with (autosummarize = on);

select core.keep_rows_out_of_logs('videos.submissions');
select core.keep_rows_out_of_logs('videos.provider_events');
