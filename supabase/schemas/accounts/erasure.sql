create table accounts.erasures (
  user_id uuid primary key,
  closed_at timestamptz not null,
  erased_at timestamptz not null,
  -- How many of each kind.
  erased jsonb not null,
  -- When the rule `closed_accounts` has deleted the jobs, too.
  swept_at timestamptz
);
alter table accounts.erasures enable row level security;
create index erasures_remaining on accounts.erasures (erased_at) where swept_at is null;
comment on table accounts.erasures is 'The proof that what a closed account left behind was erased; kept for good.';

create function videos.erasable_at(p_user_id uuid)
returns timestamptz
language sql
volatile
set search_path = ''
as $$
  -- Whatever began before the account was closed, or before its last job ended, may write until its lease is over. A
  -- job that has not ended moves this time along.
  select greatest(u.closed_at, (
    select max(coalesce(j.completed_at, core.now()))
    from videos.jobs as j
    where j.user_id = p_user_id and j.deleted_at is null
  )) + (select make_interval(secs => max(k.timeout_seconds)) from queue.kinds as k)
  from accounts.users as u
  where u.id = p_user_id and u.closed_at is not null
$$;
