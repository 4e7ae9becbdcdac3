-- public: what the app shows. Clients may read their own rows, only while they are active, and of them only the
-- columns that the API shows. They write nothing; the procedures of the functions do.

create table public.users (
  -- Equal to auth.users.id, without a foreign key: a closed account stays as a tombstone.
  id uuid primary key,
  display_name text check (char_length(display_name) between 1 and 50),
  language text check (language in ('en', 'tr', 'es')),
  theme_preference text not null default 'system' check (theme_preference in ('system', 'light', 'dark')),
  is_admin boolean not null default false,
  is_banned boolean not null default false,
  closed_at timestamptz,
  created_at timestamptz not null default now()
);
alter table public.users enable row level security;
revoke all on public.users from anon, authenticated, service_role;
grant select (id, display_name, language, theme_preference, created_at) on public.users to authenticated;
create policy "an active user sees their own row" on public.users for select to authenticated
  using (id = (select auth.uid()) and closed_at is null and not is_banned);
comment on table public.users is 'Accounts, made by the first procedure that needs one; closed ones are tombstones.';

create type public.model_category as enum ('text_to_video', 'image_to_video');
create type public.pricing_type as enum ('per_video', 'per_second');

create table public.models (
  id uuid primary key default ops.new_id(),
  name text not null check (char_length(name) between 1 and 100),
  description text not null,
  category public.model_category not null,
  thumbnail_url text,
  is_featured boolean not null default false,
  is_available boolean not null default true,
  requires_image boolean not null default false,
  pricing_type public.pricing_type not null,
  -- Credits a video, or a second of it.
  credits integer not null check (credits between 1 and 10000),
  -- As the API shows them: `{ duration_seconds: { values, default }, resolution: …, aspect_ratio: … }`.
  options jsonb not null check (
    options ?& array['duration_seconds', 'resolution', 'aspect_ratio']
    and options #> '{duration_seconds,values}' @> (options #> '{duration_seconds,default}')
    and options #> '{resolution,values}' @> (options #> '{resolution,default}')
    and options #> '{aspect_ratio,values}' @> (options #> '{aspect_ratio,default}')
  ),
  -- The two bounds of a job: from acceptance until it starts, and from its start until it ends.
  start_within interval not null default interval '15 minutes' check (start_within > interval '0'),
  finish_within interval not null default interval '15 minutes' check (finish_within > interval '0'),
  position integer not null default 0
);
alter table public.models enable row level security;
revoke all on public.models from anon, authenticated, service_role;
comment on table public.models is 'The catalogue. What is not available stays, for the jobs that were made with it.';

create function public.keep_models()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  raise exception 'a model is never deleted; set is_available to false' using errcode = 'restrict_violation';
end;
$$;

revoke all on function public.keep_models() from public, anon, authenticated, service_role;
comment on function public.keep_models() is 'Jobs name their model for ever.';

create trigger keep_models before delete or truncate on public.models
  for each statement execute function public.keep_models();

-- One row. Its version is the catalogue's ETag, and changes with every change of a model.
create table public.catalogue (
  is_singleton boolean primary key default true check (is_singleton),
  version bigint not null default 1
);
alter table public.catalogue enable row level security;
revoke all on public.catalogue from anon, authenticated, service_role;
comment on table public.catalogue is 'The version of the catalogue as a whole.';
insert into public.catalogue default values;

create function public.bump_catalogue_version()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  update public.catalogue as c set version = c.version + 1 where true;
  return null;
end;
$$;

revoke all on function public.bump_catalogue_version() from public, anon, authenticated, service_role;
comment on function public.bump_catalogue_version() is 'Runs after every change of the models, by whatever hand.';

create trigger bump_catalogue_version after insert or update on public.models
  for each statement execute function public.bump_catalogue_version();

create type public.job_status as enum ('pending', 'processing', 'completed', 'failed', 'cancelled');

create table public.video_jobs (
  id uuid primary key default ops.new_id(),
  -- No foreign keys. guard.admit_user has just seen the user, whose row is never deleted; nor is a model's, which a
  -- trigger sees to, and checking a key would have every accepted job lock the one row of a popular model.
  user_id uuid not null,
  model_id uuid not null,
  model_name text not null,
  status public.job_status not null default 'pending',
  prompt text not null,
  settings jsonb not null,
  image_url text,
  -- Held or captured, less what was given back.
  credits_used bigint not null,
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
  -- What the procedures rely on. Not more: every statement reads each constraint anew, some 3 µs a piece.
  check (credits_used >= 0),
  check ((status >= 'completed') = (completed_at is not null) and (status = 'failed') = (error_code is not null)),
  check ((due_at is null) = (completed_at is not null or storing_at is not null))
) with (fillfactor = 70);
alter table public.video_jobs enable row level security;
revoke all on public.video_jobs from anon, authenticated, service_role;
grant select (
  id, status, prompt, model_id, model_name, settings, credits_used, video_url, video_url_expires_at, thumbnail_url,
  error_code, error_details, created_at, completed_at
) on public.video_jobs to authenticated;
create policy "an active user sees their own jobs until they delete them" on public.video_jobs
  for select to authenticated
  using (
    user_id = (select auth.uid())
    and deleted_at is null
    and exists (select from public.users as u where u.id = (select auth.uid()))
  );
-- A user's history of each status, newest first: one index pages all of it and any part of it.
create index video_jobs_user on public.video_jobs (user_id, status, created_at desc, id desc) where deleted_at is null;
create index video_jobs_completed_at on public.video_jobs using brin (completed_at);
-- The running jobs; those that are storing have no bound.
create index video_jobs_running on public.video_jobs (due_at) where completed_at is null;
comment on table public.video_jobs is 'Generated videos, from acceptance to the end. An ended status never changes.';

-- The life of a job, as data: what is not here cannot happen.
create table public.job_transitions (
  from_status public.job_status not null,
  to_status public.job_status not null,
  reason text not null,
  primary key (from_status, to_status)
);
alter table public.job_transitions enable row level security;
revoke all on public.job_transitions from anon, authenticated, service_role;
comment on table public.job_transitions is 'The allowed changes of a job''s status.';
insert into public.job_transitions (from_status, to_status, reason) values
  ('pending', 'processing', 'a submission was claimed'),
  ('processing', 'pending', 'the provider proved that it did not take it'),
  ('pending', 'failed', 'refused, or no provider took it in time'),
  ('pending', 'cancelled', 'cancelled before a provider had it'),
  ('processing', 'completed', 'the video is stored'),
  ('processing', 'failed', 'the provider, the deadline or the storage failed'),
  ('processing', 'cancelled', 'the provider confirmed the cancellation, or the account was closed');

create function public.check_job_transition()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if not exists (
    select from public.job_transitions as t
    where t.from_status = old.status and t.to_status = new.status
  ) then
    raise exception 'job % cannot go from % to %', old.id, old.status, new.status using errcode = 'check_violation';
  end if;
  return new;
end;
$$;

revoke all on function public.check_job_transition() from public, anon, authenticated, service_role;
comment on function public.check_job_transition() is 'Holds every update of a job to job_transitions.';

create trigger check_job_transition before update of status on public.video_jobs
  for each row when (old.status is distinct from new.status) execute function public.check_job_transition();

create function guard.admit_user(p_user_id uuid, out refusal jsonb, out language text, out is_new boolean)
language plpgsql
volatile
set search_path = ''
as $$
-- Asks whether a caller may act, and makes their row and account at the first call. `refusal` is null, or what
-- to return (ERR_4005 for a closed account, ERR_4017 for a suspended one); `language` is the user's own, if any;
-- `is_new` is true for the one call that made the row. A tombstone is never revived.
declare
  v_user public.users;
begin
  is_new := false;
  select u.* into v_user from public.users as u where u.id = p_user_id;
  if not found then
    insert into public.users (id, created_at) values (p_user_id, ops.now()) on conflict do nothing;
    is_new := found;
    perform credits.open_account(p_user_id);
    select u.* into strict v_user from public.users as u where u.id = p_user_id;
  end if;
  language := v_user.language;
  if v_user.closed_at is not null then
    refusal := guard.refusal('ERR_4005');
  elsif v_user.is_banned then
    refusal := guard.refusal('ERR_4017');
  end if;
end;
$$;

revoke all on function guard.admit_user(uuid) from public, anon, authenticated, service_role;
comment on function guard.admit_user(uuid) is 'The first question of every procedure that acts for a caller.';

create function guard.enter(
  p_user_id uuid, p_endpoint text, p_policies text[], p_network text,
  out refusal jsonb, out limits jsonb, out language text, out is_new boolean
)
language plpgsql
volatile
set search_path = ''
as $$
-- The beginning of a procedure without an idempotency key: whether the caller may act, and whether the policies admit
-- it. `refusal` is what to return, or null. Locks: rate-limit rows.
declare
  v_taken jsonb;
begin
  select a.refusal, a.language, a.is_new into refusal, language, is_new from guard.admit_user(p_user_id) as a;
  if refusal is null then
    v_taken := guard.take(p_policies, p_user_id, p_network, p_endpoint);
    refusal := v_taken -> 'refusal';
    limits := v_taken -> 'limits';
  end if;
end;
$$;

revoke all on function guard.enter(uuid, text, text[], text) from public, anon, authenticated, service_role;
comment on function guard.enter(uuid, text, text[], text) is 'Caller and rate limits, in one.';

create function guard.answer(p_data jsonb, p_limits jsonb default null, p_language text default null)
returns jsonb
language sql
stable
return jsonb_build_object('data', p_data)
  || jsonb_strip_nulls(jsonb_build_object('limits', p_limits, 'language', p_language));

revoke all on function guard.answer(jsonb, jsonb, text) from public, anon, authenticated, service_role;
comment on function guard.answer(jsonb, jsonb, text) is
  'A procedure''s answer: the data, the limits that were asked, the user''s language.';
