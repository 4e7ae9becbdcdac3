-- queue: work that must survive. It knows no other domain. In this order: queue.sql, tasks.sql.

create schema queue;

create type queue.backoff as enum ('fixed', 'exponential');

create table queue.kinds (
  kind text primary key,
  -- Tasks of this kind at work at once, over all workers.
  concurrency integer not null check (concurrency > 0),
  -- Attempts until the task is a dead letter; null: it goes on until its job's bound.
  tries integer check (tries > 0),
  backoff queue.backoff not null,
  base_seconds numeric not null check (base_seconds > 0),
  max_seconds numeric not null check (max_seconds >= base_seconds),
  -- The part of the delay that is random: 0 none, 1 all of it.
  jitter numeric not null default 0.5 check (jitter between 0 and 1),
  -- The lease: how long a worker may be silent before another takes the task. It exceeds the longest attempt.
  timeout_seconds integer not null check (timeout_seconds > 0),
  -- Lower first.
  priority smallint not null
);
alter table queue.kinds enable row level security;
comment on table queue.kinds is 'How tasks of each kind are worked; the operator may change it.';

create table queue.tasks (
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
alter table queue.tasks enable row level security;
create unique index tasks_open on queue.tasks (subject, kind) where failed_at is null;
create index tasks_due on queue.tasks (priority, run_at) where failed_at is null;
create index tasks_dead on queue.tasks (subject) where failed_at is not null;
comment on table queue.tasks is 'Work that must survive; a finished task is deleted.';
