-- generation: how a job becomes a video. Submissions to providers, what the providers said, the files, and the
-- tasks that carry the work over every crash.

create schema generation;
revoke all on schema generation from public;

-- Who can make a model's videos, in order of preference.
create table generation.model_providers (
  model_id uuid not null references public.models,
  preference smallint not null check (preference >= 1),
  provider text not null check (provider in ('fal', 'replicate', 'runway')),
  -- The provider's own name of the model.
  provider_model text not null,
  -- US cents a video, or a second of it, as the model is priced.
  cost_cents numeric not null check (cost_cents >= 0),
  primary key (model_id, preference),
  unique (model_id, provider)
);
alter table generation.model_providers enable row level security;
revoke all on generation.model_providers from anon, authenticated, service_role;
comment on table generation.model_providers is 'The providers of a model; the lowest preference is asked first.';

create function generation.model_json(p_model public.models)
returns jsonb
language sql
stable
return jsonb_build_object(
  'id', (p_model).id, 'name', (p_model).name, 'description', (p_model).description, 'category', (p_model).category,
  'thumbnail_url', (p_model).thumbnail_url, 'is_featured', (p_model).is_featured,
  'requires_image', (p_model).requires_image,
  'pricing', jsonb_build_object('type', (p_model).pricing_type, 'credits', (p_model).credits),
  'options', (p_model).options
);

revoke all on function generation.model_json(public.models) from public, anon, authenticated, service_role;
comment on function generation.model_json(public.models) is 'A model as the catalogue shows it.';

create type generation.submission_state as enum (
  'sending', -- claimed; the request may be on its way, and nobody sends it again
  'accepted', -- the provider named its id
  'not_accepted', -- proof that the provider does not have it
  'unknown', -- the answer was lost: its webhook or its deadline decides
  'refused', -- the provider will never do it
  'ended' -- the provider said how it ended
);

create table generation.submissions (
  id uuid primary key default ops.new_id(),
  job_id uuid not null references public.video_jobs,
  provider text not null,
  provider_model text not null,
  state generation.submission_state not null default 'sending',
  request_id text,
  -- What the adapter needs to find it again.
  provider_references jsonb,
  cost_cents numeric not null,
  cause text,
  claimed_at timestamptz not null,
  accepted_at timestamptz,
  ended_at timestamptz,
  check ((state in ('accepted', 'ended')) <= (request_id is not null))
) with (fillfactor = 80);
alter table generation.submissions enable row level security;
revoke all on generation.submissions from anon, authenticated, service_role;
create index submissions_job on generation.submissions (job_id);
create unique index submissions_request on generation.submissions (provider, request_id) where request_id is not null;
create index submissions_sending on generation.submissions (claimed_at) where state = 'sending';
create index submissions_in_flight on generation.submissions (provider)
  where state in ('sending', 'accepted', 'unknown');
-- No job is ever at two providers: at most one submission that a provider has, or may have.
create unique index submissions_open on generation.submissions (job_id)
  where state in ('sending', 'accepted', 'unknown');
comment on table generation.submissions is 'Each attempt to hand a job to a provider.';

-- Webhooks as they came, once each.
create table generation.events (
  provider text not null,
  event_id text not null,
  submission_id uuid not null references generation.submissions,
  request_id text not null,
  state jsonb not null,
  -- What it did: `applied`, `asked` (a poll was made of it), or `ignored`.
  effect text not null check (effect in ('applied', 'asked', 'ignored')),
  received_at timestamptz not null,
  -- With the submission: an event that was sent to the URL of another must not stand in for its own delivery.
  primary key (provider, event_id, submission_id)
);
alter table generation.events enable row level security;
revoke all on generation.events from anon, authenticated, service_role;
create index events_submission on generation.events (submission_id);
comment on table generation.events is 'What the providers reported, proved to be theirs.';

create type generation.asset_kind as enum ('video', 'thumbnail');

create table generation.assets (
  id uuid primary key default ops.new_id(),
  job_id uuid not null references public.video_jobs,
  kind generation.asset_kind not null,
  -- In the private bucket `videos`.
  path text not null unique,
  bytes bigint not null check (bytes > 0),
  content_type text not null,
  -- Hex.
  sha256 text not null check (char_length(sha256) = 64),
  duration_milliseconds integer,
  width integer,
  height integer,
  -- How the file differs from what was asked for; null where it does not.
  differences jsonb,
  created_at timestamptz not null,
  -- When the worker removed the file, after the user deleted the job.
  deleted_at timestamptz,
  unique (job_id, kind)
);
alter table generation.assets enable row level security;
revoke all on generation.assets from anon, authenticated, service_role;
comment on table generation.assets is 'Files in storage.';

create type generation.backoff as enum ('fixed', 'exponential');

create table generation.task_kinds (
  kind text primary key,
  -- Tasks of this kind at work at once, over all workers.
  concurrency integer not null check (concurrency > 0),
  -- Attempts until the task is a dead letter; null: it goes on until its job's bound.
  tries integer check (tries > 0),
  backoff generation.backoff not null,
  base_seconds numeric not null check (base_seconds > 0),
  max_seconds numeric not null check (max_seconds >= base_seconds),
  -- The part of the delay that is random: 0 none, 1 all of it.
  jitter numeric not null default 0.5 check (jitter between 0 and 1),
  -- The lease: how long a worker may be silent before another takes the task. It exceeds the longest attempt.
  timeout_seconds integer not null check (timeout_seconds > 0),
  -- Lower first.
  priority smallint not null
);
alter table generation.task_kinds enable row level security;
revoke all on generation.task_kinds from anon, authenticated, service_role;
comment on table generation.task_kinds is 'How tasks of each kind are worked; the operator may change it.';

insert into generation.task_kinds
  (kind, concurrency, tries, backoff, base_seconds, max_seconds, timeout_seconds, priority)
values
  -- A submission's own time-out is 30 s; storing may stream a large file, up to the platform's 150 s.
  ('cancel', 10, 5, 'exponential', 2, 60, 60, 1),
  ('store', 4, 8, 'exponential', 2, 120, 180, 2),
  ('submit', 10, null, 'exponential', 2, 60, 60, 3),
  ('delete_files', 4, 10, 'exponential', 5, 3600, 60, 5),
  ('erase_account', 2, 10, 'exponential', 5, 3600, 60, 6),
  ('poll', 10, null, 'exponential', 3, 60, 60, 4);

create table generation.tasks (
  id bigint generated always as identity primary key,
  -- One of task_kinds, which add_task sees to: a foreign key would lock the kind's one row with every task.
  kind text not null,
  subject uuid not null,
  payload jsonb not null default '{}',
  priority smallint not null,
  run_at timestamptz not null,
  attempts integer not null default 0,
  leased_until timestamptz,
  last_error text,
  -- A dead letter; clearing it is the replay.
  failed_at timestamptz,
  created_at timestamptz not null
) with (fillfactor = 70);
alter table generation.tasks enable row level security;
revoke all on generation.tasks from anon, authenticated, service_role;
create unique index tasks_open on generation.tasks (subject, kind) where failed_at is null;
create index tasks_due on generation.tasks (priority, run_at) where failed_at is null;
create index tasks_dead on generation.tasks (subject) where failed_at is not null;
comment on table generation.tasks is 'Work that must survive; a finished task is deleted.';

insert into storage.buckets (id, name, public) values ('videos', 'videos', false)
on conflict (id) do update set public = false;
