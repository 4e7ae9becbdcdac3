-- queue: work that must survive, as rows. It knows no other domain: a domain registers its kinds of task as rows of
-- queue.kinds, gives each task a subject and an owner, and does the work in `_shared/<domain>/tasks.ts`.
-- In this order: queue.sql (what there is), tasks.sql (how a domain makes and ends tasks), claims.sql (how workers get
-- them), waiting.sql (what waits for one).

create schema queue;

create type queue.backoff as enum ('fixed', 'exponential');

create table queue.kinds (
  kind text primary key check (kind ~ '^[a-z_]{1,50}$'),
  -- Tasks of this kind at work at once, over all workers; and of one lane, where null bounds nothing.
  concurrency integer not null check (concurrency > 0),
  lane_concurrency integer check (lane_concurrency > 0),
  -- Attempts until the task is a dead letter; null: it goes on until its domain ends it.
  tries integer check (tries > 0),
  backoff queue.backoff not null,
  base_seconds numeric not null check (base_seconds > 0),
  max_seconds numeric not null check (max_seconds >= base_seconds),
  -- The part of the delay that is random: 0 none, 1 all of it.
  jitter numeric not null default 0.5 check (jitter between 0 and 1),
  -- How long a worker may be silent before another takes the task. While it works it renews the lease every 4 s.
  lease_seconds integer not null check (lease_seconds >= 10),
  -- The longest attempt. No lease is renewed beyond it.
  timeout_seconds integer not null check (timeout_seconds >= lease_seconds),
  -- Lower first.
  priority smallint not null,
  -- What the kind's domain does when a task has no try left: a function of the subject and the cause, with its schema. It runs in the
  -- transaction that makes the dead letter, before the task is locked. Text, because a `regprocedure` column blocks
  -- pg_upgrade.
  on_dead text check (on_dead ~ '^[a-z_]+\.[a-z_]+$'),
  -- What one claim brings at most, for work of which a worker can do little at once; null bounds nothing.
  claim_limit integer check (claim_limit > 0),
  -- What the kind's handler is told of the subject with each claim: a function of the subject, with its schema, that
  -- returns jsonb.
  facts text check (facts ~ '^[a-z_]+\.[a-z_]+$')
);
alter table queue.kinds enable row level security;
comment on table queue.kinds is 'How tasks of each kind are worked; the operator may change it.';

-- How many open tasks of its kind its owner had before a task, 15 for more. A domain: a table's own check costs ten times as
-- much.
create domain queue.place as smallint check (value between 0 and 15);

create table queue.tasks (
  id bigint generated always as identity primary key,
  -- One of queue.kinds, which queue.add sees to: a foreign key would lock the kind's one row with every task.
  kind text not null,
  -- What it is about: a job, a user. A kind has one open task for a subject.
  subject uuid not null,
  -- Whose it is; null for the platform itself.
  owner_id uuid,
  -- A queue of its own within the kind, bounded by lane_concurrency: a webhook, a batch.
  lane text not null default '',
  payload jsonb not null default '{}',
  -- The request that it goes back to; ties what goes wrong to the log.
  request_id text,
  priority smallint not null,
  -- Whoever has many lets others go first.
  place queue.place not null,
  -- When it may be claimed. While it is leased, the end of the lease: then it may be claimed again.
  run_at timestamptz not null,
  -- Every claim is an attempt, whose number fences off those before it.
  attempts integer not null default 0,
  -- Those that cost no try.
  uncounted_attempts integer not null default 0,
  claimed_at timestamptz,
  leased_until timestamptz,
  last_error text,
  -- A dead letter; clearing it is the replay.
  failed_at timestamptz,
  created_at timestamptz not null
) with (fillfactor = 70);
alter table queue.tasks enable row level security;
create unique index tasks_open on queue.tasks (subject, kind) where failed_at is null;
-- What may be claimed of a kind, lane, priority and place stands together, in the order of its time.
create index tasks_due on queue.tasks (kind, lane, priority, place, run_at) where failed_at is null;
create index tasks_leased on queue.tasks (kind, lane, leased_until) where leased_until is not null;
create index tasks_owner on queue.tasks (owner_id, kind) where failed_at is null;
create index tasks_dead on queue.tasks (subject) where failed_at is not null;
-- The newest first; the kind stands in it, so that of other kinds no row is read.
create index tasks_failed_at on queue.tasks (failed_at, id, kind) where failed_at is not null;
comment on table queue.tasks is 'Work that must survive; a finished task is deleted.';

select core.keep_rows_out_of_logs('queue.tasks');

create table queue.lanes (
  kind text not null,
  lane text not null,
  -- When a worker came by last and found as much of it at work as lane_concurrency allows, with what it took itself.
  full_at timestamptz not null,
  primary key (kind, lane)
) with (fillfactor = 50);
alter table queue.lanes enable row level security;
comment on table queue.lanes is 'When bounded lanes were full: what waited in one then waited for its receiver, and for no worker.';
