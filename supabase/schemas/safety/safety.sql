-- safety: what others, and users themselves, object to, and what is decided about it. In this order: safety.sql (cases),
-- notices.sql (what opens them, and their clock), files.sql (what is removed is known again), holds.sql (evidence).

create schema safety;

-- What a video does wrong, in the words of whoever objects, and of the operator who removes it.
create type safety.ground as enum (
  'sexual', 'minors', 'violence', 'hate', 'harassment', 'real_person', 'copyright', 'illegal', 'other'
);

create type safety.case_status as enum (
  'open', -- the operator is to decide
  'kept', -- nothing is wrong with it; another notice opens it again
  'removed',
  'appealed', -- it is removed, and its user objects
  'restored' -- the appeal was granted; another notice opens it again
);

-- Whatever is said about a video is one case, however many say it: the operator decides once.
create table safety.cases (
  id uuid primary key default core.new_id(),
  job_id uuid not null unique,
  status safety.case_status not null default 'open',
  reports integer not null default 0,
  notices integer not null default 0,
  opened_at timestamptz not null,
  -- 48 hours after the first notice that is not answered; null without one.
  due_at timestamptz,
  -- Why it was removed, as its user is told.
  ground safety.ground,
  decided_at timestamptz,
  -- What its user says against the removal, once.
  appeal text check (char_length(appeal) between 1 and 2000),
  appealed_at timestamptz,
  appeal_decided_at timestamptz,
  constraint cases_due check (due_at is null or status = 'open'),
  constraint cases_ground check (ground is not null or status in ('open', 'kept')),
  constraint cases_appeal check ((appealed_at is not null or status <> 'appealed') and (appealed_at is not null or appeal_decided_at is null))
) with (fillfactor = 80);
alter table safety.cases enable row level security;
-- A page of all, and of those in one state, newest first.
create index cases_opened on safety.cases (opened_at desc, id desc);
create index cases_status on safety.cases (status, opened_at desc, id desc);
create index cases_due_at on safety.cases (due_at) where due_at is not null;
comment on table safety.cases is 'Videos that somebody objects to, a row each, and what was decided.';

-- What the user of a removed video is told, as a job's error; null where nothing was removed.
create function safety.removal_error(p_job_id uuid)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object('code', core.error_code('video/removed'), 'details', jsonb_build_object(
      'reason', c.ground,
      'appeal', case
        when c.status = 'restored' then 'granted'
        when c.appeal_decided_at is not null then 'rejected'
        when c.appealed_at is not null then 'open'
        else 'possible'
      end
    ))
    from safety.cases as c
    where c.job_id = p_job_id and c.ground is not null
  );
end;
$$;

create function safety.case_of(p_case_id uuid, p_locks boolean default false)
returns safety.cases
language plpgsql
volatile
set search_path = ''
as $$
-- A case; null where there is none. With p_locks it is locked, and whoever decides has locked account and job before.
declare
  v_case safety.cases;
begin
  if p_locks then
    select c.* into v_case from safety.cases as c where c.id = p_case_id for update;
  else
    select c.* into v_case from safety.cases as c where c.id = p_case_id;
  end if;
  return v_case;
end;
$$;

create function safety.decide(p_case_id uuid, p_status safety.case_status, p_ground safety.ground default null)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Writes down what the operator decided, who has locked the case and asked whether it may be decided so. The clock of its
-- notices stops.
declare
  v_now constant timestamptz := core.now();
begin
  update safety.cases as c
  set status = p_status, due_at = null,
      ground = case when p_status = 'kept' then null else coalesce(p_ground, c.ground) end,
      decided_at = case when c.status = 'appealed' then c.decided_at else v_now end,
      appeal_decided_at = case
        when c.status = 'appealed' then v_now
        when p_status <> 'removed' then c.appeal_decided_at
      end,
      -- Another removal may be appealed anew.
      appealed_at = case when c.status = 'appealed' or p_status <> 'removed' then c.appealed_at end,
      appeal = case when c.status = 'appealed' or p_status <> 'removed' then c.appeal end
  where c.id = p_case_id;
end;
$$;

create function safety.appeal(p_job_id uuid, p_statement text)
returns safety.cases
language plpgsql
volatile
set search_path = ''
as $$
-- The user of a removed video objects, once for each removal: the case as it is then, with what was said first. Locks: case.
declare
  v_case safety.cases;
begin
  update safety.cases as c set status = 'appealed', appeal = p_statement, appealed_at = core.now()
  where c.job_id = p_job_id and c.status = 'removed' and c.appealed_at is null;
  select c.* into v_case from safety.cases as c where c.job_id = p_job_id;
  return v_case;
end;
$$;

create function safety.close_cases(p_job_ids uuid[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Of jobs that are gone nothing is left to decide: what is open ends as kept, what is appealed stays removed, and no clock goes on.
declare
  v_now constant timestamptz := core.now();
begin
  update safety.cases as c
  set status = case c.status when 'open' then 'kept' else 'removed' end::safety.case_status, due_at = null, decided_at = v_now
  where c.job_id = any (p_job_ids) and c.status in ('open', 'appealed');
end;
$$;

select core.keep_rows_out_of_logs('safety.cases');
