-- Erasing what a closed account leaves: files, what its jobs said, and the user of Auth. The tombstone, the jobs' bare
-- facts and the ledger stay.

create table ops.erasures (
  user_id uuid primary key,
  closed_at timestamptz not null,
  erased_at timestamptz not null,
  -- How many of each kind.
  erased jsonb not null,
  -- When the rule `closed_accounts` has deleted the jobs, too.
  swept_at timestamptz
);
alter table ops.erasures enable row level security;
revoke all on ops.erasures from anon, authenticated, service_role;
create index erasures_remaining on ops.erasures (erased_at) where swept_at is null;
comment on table ops.erasures is 'The proof that what a closed account left behind was erased; kept for good.';

-- video_jobs_user knows only what its user still sees.
create index video_jobs_deleted on public.video_jobs (user_id) where deleted_at is not null;

create function generation.files_of(p_user_id uuid)
returns setof text
language plpgsql
stable
set search_path = ''
as $$
declare
  -- A constant of the query: only so is the index of names asked.
  v_folder constant text := p_user_id || '/';
begin
  return query select o.name from storage.objects as o where o.bucket_id = 'videos' and o.name ^@ v_folder;
end;
$$;

revoke all on function generation.files_of(uuid) from public, anon, authenticated, service_role;
comment on function generation.files_of(uuid) is 'Paths of what storage has of a user, whether or not a job knows of it.';

create function generation.erasable_at(p_user_id uuid)
returns timestamptz
language sql
volatile
set search_path = ''
as $$
  -- Whatever began before the account was closed, or before its last job ended, may write until its lease is over. A
  -- job that has not ended moves this time along.
  select greatest(u.closed_at, (
    select max(coalesce(j.completed_at, ops.now()))
    from public.video_jobs as j
    where j.user_id = p_user_id and j.deleted_at is null
  )) + (select make_interval(secs => max(k.timeout_seconds)) from generation.task_kinds as k)
  from public.users as u
  where u.id = p_user_id and u.closed_at is not null
$$;

revoke all on function generation.erasable_at(uuid) from public, anon, authenticated, service_role;
comment on function generation.erasable_at(uuid) is 'When nobody writes for a closed account any more.';

create function generation.blank_jobs(p_job_ids uuid[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Takes out of jobs what their user said and got; their status, model, credits and times stay.
begin
  update public.video_jobs as j
  set prompt = '', settings = '{}', image_url = null, request_id = '', video_url = null, video_url_expires_at = null,
      thumbnail_url = null, error_details = case when j.error_details is not null then '{}'::jsonb end
  where j.id = any (p_job_ids);
  update generation.submissions as s
  set provider_references = null, cause = null
  where s.job_id = any (p_job_ids);
  update generation.events as e
  set state = jsonb_build_object('state', e.state -> 'state')
  from generation.submissions as s
  where s.job_id = any (p_job_ids) and e.submission_id = s.id;
  delete from generation.assets as a where a.job_id = any (p_job_ids);
end;
$$;

revoke all on function generation.blank_jobs(uuid[]) from public, anon, authenticated, service_role;
comment on function generation.blank_jobs(uuid[]) is 'What is left of a job whose content must go.';

create function public.erase_account(p_task_id bigint, p_attempt integer, p_user_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Erases what a closed account left, once its files are gone from storage, and writes the proof. While a job of it runs
-- or a file is there, the task comes back; that costs a try only where not one file was removed since the last time.
-- `data`: `{ state: "erased" | "waiting" | "dead" | "lost" }`. A second call finds no task. Raises no_data_found for an
-- account that is open. Locks: account → task → jobs.
declare
  v_task generation.tasks;
  v_user public.users;
  v_erasable_at timestamptz;
  v_now timestamptz;
  v_files bigint;
  v_job_ids uuid[];
  v_erased jsonb;
begin
  perform credits.lock_account(p_user_id);
  select t.* into v_task
  from generation.tasks as t
  where t.id = p_task_id and t.attempts = p_attempt and t.failed_at is null
  for update;
  if not found then
    return guard.answer('{"state": "lost"}');
  end if;
  select u.* into strict v_user from public.users as u where u.id = p_user_id and u.closed_at is not null;
  v_erasable_at := generation.erasable_at(p_user_id);
  v_now := ops.now();
  if v_erasable_at > v_now then
    update generation.tasks as t
    set attempts = 0, leased_until = null, run_at = v_erasable_at
    where t.id = p_task_id;
    return guard.answer('{"state": "waiting"}');
  end if;
  select count(*) into v_files from generation.files_of(p_user_id);
  if v_files >= (v_task.payload ->> 'files')::bigint then
    return public.retry_task(p_task_id, p_attempt, 'storage does not remove the files');
  elsif v_files > 0 then
    update generation.tasks as t
    set attempts = 0, leased_until = null, run_at = v_now, payload = jsonb_build_object('files', v_files)
    where t.id = p_task_id;
    return guard.answer('{"state": "waiting"}');
  end if;

  select coalesce(array_agg(j.id), '{}') into v_job_ids
  from (
    select a.id from public.video_jobs as a where a.user_id = p_user_id and a.deleted_at is null
    union all
    select d.id from public.video_jobs as d where d.user_id = p_user_id and d.deleted_at is not null
  ) as j;
  v_erased := jsonb_build_object(
    'jobs', cardinality(v_job_ids),
    'files', (select count(*) from generation.assets as a where a.job_id = any (v_job_ids) and a.deleted_at is null),
    'idempotency_keys', (select count(*) from guard.idempotency_keys as k where k.caller = p_user_id),
    'device_grants', (select count(*) from guard.device_grants as g where g.user_id = p_user_id),
    'auth_users', (select count(*) from auth.users as u where u.id = p_user_id)
  );
  perform generation.blank_jobs(v_job_ids);
  update public.video_jobs as j set deleted_at = v_now where j.id = any (v_job_ids) and j.deleted_at is null;
  -- Removing files is all that is left to do for these, and it is done.
  delete from generation.tasks as t where t.subject = any (v_job_ids);
  delete from guard.idempotency_keys as k where k.caller = p_user_id;
  delete from guard.device_grants as g where g.user_id = p_user_id;
  delete from guard.hits as h
  using guard.policies as p
  where p.scope = 'user' and h.is_logged = p.is_logged and h.policy = p.name and h.subject = p_user_id::text;
  -- With it go its identities, factors and sessions.
  delete from auth.users as u where u.id = p_user_id;
  insert into ops.erasures (user_id, closed_at, erased_at, erased)
  values (p_user_id, v_user.closed_at, v_now, v_erased)
  on conflict (user_id) do nothing;
  delete from generation.tasks as t where t.id = p_task_id;
  return guard.answer('{"state": "erased"}');
end;
$$;

revoke all on function public.erase_account(bigint, integer, uuid) from public, anon, authenticated;
grant execute on function public.erase_account(bigint, integer, uuid) to service_role;
comment on function public.erase_account(bigint, integer, uuid) is 'The end of an erase_account task.';
