create type videos.job_status as enum ('pending', 'processing', 'completed', 'failed', 'cancelled');

create table videos.jobs (
  id uuid primary key default core.new_id(),
  -- No foreign keys. accounts.admit has just seen the user, whose row is never deleted; nor is a model's, which a
  -- trigger sees to, and checking a key would have every accepted job lock the one row of a popular model.
  user_id uuid not null,
  model_id uuid not null,
  model_name text not null,
  status videos.job_status not null default 'pending',
  prompt text not null,
  settings jsonb not null,
  image_url text,
  -- Held or captured, less what was given back.
  credits_used credits.balance not null,
  error_code text,
  error_details jsonb,
  -- The request that made it; ties the job to the log.
  request_id text not null,
  created_at timestamptz not null,
  -- When a provider reported that it had begun; where it reports none, when it took the submission.
  started_at timestamptz,
  percent smallint,
  -- When the provider's success was known and storing began.
  storing_at timestamptz,
  completed_at timestamptz,
  -- When the bound that is running now is over. Null while storing and after the end.
  due_at timestamptz,
  cancel_requested_at timestamptz,
  -- A success that came after the end; recorded for the operator, never charged.
  late_success_at timestamptz,
  -- Why the operator may want to look at it: the reason of a term that flags, or what the moderation service refused.
  flag text,
  -- When the moderation service let the prompt pass; it is not asked again.
  moderated_at timestamptz,
  video_url text,
  video_url_expires_at timestamptz,
  thumbnail_url text,
  deleted_at timestamptz,
  -- The app's own name for it, which its user may ask for.
  client_reference text,
  -- The upload that it is made from, instead of an address. No foreign key, as above: an upload may go when the job has ended.
  image_upload_id uuid,
  -- Of its user's. One that is not there any more is none: see videos.shown_project.
  project_id uuid,
  -- When the operator removed the video: it is shown to nobody.
  removed_at timestamptz,
  -- The job of theirs whose video it is made from. Its video stays while this runs.
  source_job_id uuid
) with (fillfactor = 70);
alter table videos.jobs enable row level security;
-- A user's history of each status, newest first: one index pages all of it and any part of it.
create index jobs_user on videos.jobs (user_id, status, created_at desc, id desc) where deleted_at is null;
-- Few jobs have a name, and few of a user's have the same.
create index jobs_client_reference on videos.jobs (user_id, client_reference) where client_reference is not null;
-- The same of one project.
create index jobs_project on videos.jobs (project_id, status, created_at desc, id desc)
  where project_id is not null and deleted_at is null;
create index jobs_completed_at on videos.jobs using brin (completed_at);
create index jobs_created_at on videos.jobs using brin (created_at) with (autosummarize = on);
-- The running jobs; those that are storing have no bound.
create index jobs_running on videos.jobs (due_at) where completed_at is null;
comment on table videos.jobs is 'Generated videos, from acceptance to the end. An ended status never changes.';

-- The life of a job, as data: what is not here cannot happen.
create table videos.job_transitions (
  from_status videos.job_status not null,
  to_status videos.job_status not null,
  reason text not null,
  primary key (from_status, to_status)
);
alter table videos.job_transitions enable row level security;
comment on table videos.job_transitions is 'The allowed changes of a job''s status.';

-- What the procedures rely on, in every row. As constraints it would cost five times as much.
create function videos.check_job()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if (new.status >= 'completed') = (new.completed_at is not null)
    and (new.status = 'failed') = (new.error_code is not null)
    and (new.due_at is null) = (new.completed_at is not null or new.storing_at is not null)
  then
    return new;
  end if;
  raise exception 'job % contradicts itself', new.id using errcode = 'check_violation';
end;
$$;

create trigger check_job before insert or update on videos.jobs for each row execute function videos.check_job();

-- Holds every update of a job to job_transitions.
create function videos.check_job_transition()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if not exists (
    select from videos.job_transitions as t
    where t.from_status = old.status and t.to_status = new.status
  ) then
    raise exception 'job % cannot go from % to %', old.id, old.status, new.status using errcode = 'check_violation';
  end if;
  return new;
end;
$$;

create trigger check_job_transition before update of status on videos.jobs
  for each row when (old.status is distinct from new.status) execute function videos.check_job_transition();

create function videos.lock_job(p_job_id uuid)
returns videos.jobs
language plpgsql
volatile
set search_path = ''
as $$
-- Locks the account of a job's user, then the job: the order of everything that may end one. Null where there is
-- no such job.
declare
  v_job videos.jobs;
begin
  perform credits.lock_account(j.user_id) from videos.jobs as j where j.id = p_job_id;
  select j.* into v_job from videos.jobs as j where j.id = p_job_id for update;
  return v_job;
end;
$$;

-- Makes a task about a job, for its owner and under its request.
create function videos.add_task(p_kind text, p_job videos.jobs, p_run_at timestamptz, p_payload jsonb default '{}')
returns void
language sql
volatile
return queue.add(p_kind, (p_job).id, (p_job).user_id, p_run_at, p_payload, (p_job).request_id);

-- Whether the account of a job was closed: nothing is stored for it.
create function videos.is_abandoned(p_job videos.jobs)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (select from accounts.users as u where u.id = p_job.user_id and u.closed_at is not null);
end;
$$;

create function videos.note_refund(p_job_id uuid, p_amount bigint)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- So many of a job's credits were given back after its end; null is no job. The caller has locked the account.
begin
  update videos.jobs as j set credits_used = j.credits_used - p_amount where j.id = p_job_id;
end;
$$;

-- How many jobs a user has, without those that they deleted.
create function videos.count_jobs(p_user_id uuid)
returns bigint
language sql
stable
set search_path = ''
as $$
  select count(*) from videos.jobs as j where j.user_id = p_user_id and j.deleted_at is null
$$;

-- What a user's running jobs hold in escrow.
create function videos.held_credits(p_user_id uuid)
returns bigint
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(sum(t.amount), 0)
    from videos.jobs as j
    join credits.transfers as t on t.job_id = j.id and t.kind = 'hold'
    -- A hold ends with its job. No running job is deleted, which is said for the index.
    where j.user_id = p_user_id and j.status in ('pending', 'processing') and j.deleted_at is null
  );
end;
$$;

create function videos.hold_violations(p_since timestamptz)
returns setof credits.violation
language sql
stable
set search_path = ''
as $$
  -- A running job has its hold open. p_since does not matter here: running jobs are few.
  select row('job_without_hold', j.id::text, jsonb_build_object('status', j.status))::credits.violation
  from videos.jobs as j
  where j.completed_at is null and not exists (
    select from credits.transfers as h
    where h.job_id = j.id and h.kind = 'hold'
      and not exists (
        select from credits.transfers as t where t.reverses_id = h.id and t.kind in ('capture', 'release')
      )
  )
  union all
  -- An ended job has ended its hold, in the way of its end.
  select row('hold_ended_wrong', j.id::text, jsonb_build_object('status', j.status))::credits.violation
  from videos.jobs as j
  where j.completed_at >= p_since and not exists (
    select from credits.transfers as h
    join credits.transfers as t on t.reverses_id = h.id
    where h.job_id = j.id and h.kind = 'hold'
      and t.kind = (case j.status when 'completed' then 'capture' else 'release' end)::credits.transfer_kind
  )
  union all
  -- What is in escrow is there for a job that runs.
  select row('escrow_without_job', h.id::text, jsonb_build_object('job_id', h.job_id))::credits.violation
  from credits.transfers as h
  where h.kind = 'hold' and h.created_at >= p_since
    and not exists (
      select from credits.transfers as t where t.reverses_id = h.id and t.kind in ('capture', 'release')
    )
    and not exists (
      select from videos.jobs as j where j.id = h.job_id and j.completed_at is null
    )
$$;

create function videos.poll_seconds(p_job videos.jobs, p_limits jsonb, p_now timestamptz)
returns integer
language plpgsql
stable
set search_path = ''
as $$
-- After how many seconds whoever watches a job asks again; null when it has ended. A tenth of its age, so that watching costs
-- a few dozen requests however long it takes; and so seldom that all the running jobs of its user together take half of
-- `reads`, whose state p_limits tells, since the app reads other things as well. Takes no lock.
declare
  -- As api.md has it, where the limiter is broken.
  v_max_hits constant numeric := coalesce((p_limits -> 0 ->> 'limit')::numeric, 120);
  v_window_seconds constant numeric := coalesce((p_limits -> 0 ->> 'window')::numeric, 60);
  v_running numeric;
begin
  if p_job.completed_at is not null then
    return null;
  end if;
  -- No running job is deleted, which is said for the index.
  select count(*) into v_running
  from videos.jobs as j
  where j.user_id = p_job.user_id and j.status in ('pending', 'processing') and j.deleted_at is null;
  return least(60, greatest(
    2, ceil(extract(epoch from p_now - p_job.created_at) / 10), ceil(v_running * v_window_seconds * 2 / v_max_hits)
  ))::integer;
end;
$$;

-- Where a job is, for whoever watches it.
create function videos.job_stage(p_job videos.jobs)
returns text
language sql
immutable
return case
  when (p_job).completed_at is not null then 'done'
  when (p_job).status = 'pending' then 'queued'
  when (p_job).storing_at is not null then 'storing'
  when (p_job).started_at is not null then 'generating'
  else 'submitted'
end;

-- A job as the API shows it; the error's message is added in the caller's language.
create function videos.job_json(p_job videos.jobs)
returns jsonb
language sql
stable
return jsonb_build_object(
  'job_id', (p_job).id, 'status', (p_job).status, 'prompt', (p_job).prompt, 'model_id', (p_job).model_id,
  'model_name', (p_job).model_name, 'settings', (p_job).settings, 'credits_used', (p_job).credits_used,
  'video_url', (p_job).video_url, 'video_url_expires_at', core.to_iso((p_job).video_url_expires_at),
  'thumbnail_url', (p_job).thumbnail_url,
  'error', case
    when (p_job).error_code is not null then jsonb_build_object(
      'code', (p_job).error_code, 'details', (p_job).error_details
    )
    when (p_job).removed_at is not null then safety.removal_error((p_job).id)
  end,
  'client_reference', (p_job).client_reference,
  'project_id', case when (p_job).project_id is not null then videos.shown_project((p_job).project_id) end,
  'cancel_requested_at', core.to_iso((p_job).cancel_requested_at),
  'created_at', core.to_iso((p_job).created_at), 'completed_at', core.to_iso((p_job).completed_at)
);
-- jobs_user knows only what its user still sees.
create index jobs_deleted on videos.jobs (user_id) where deleted_at is not null;
create index jobs_blankable on videos.jobs (deleted_at) where deleted_at is not null and prompt <> '';
create index jobs_late on videos.jobs (late_success_at) where late_success_at is not null;

select core.keep_rows_out_of_logs('videos.jobs');
