-- What opens a case: reports of users, notices of strangers. None of them hides anything by itself, however many there are.

create table safety.reports (
  id uuid primary key default core.new_id(),
  case_id uuid not null references safety.cases on delete cascade,
  user_id uuid not null,
  reason safety.ground not null,
  details text check (char_length(details) between 1 and 2000),
  created_at timestamptz not null,
  constraint reports_once unique (case_id, user_id)
);
alter table safety.reports enable row level security;
create index reports_user on safety.reports (user_id);
comment on table safety.reports is 'What users say about a video, once each.';

-- By strangers, who may have no account: nothing here is a user's.
create table safety.notices (
  id uuid primary key default core.new_id(),
  case_id uuid not null references safety.cases on delete cascade,
  -- How whoever objects can be reached: an address, a number.
  contact text not null check (char_length(contact) between 3 and 200),
  statement text not null check (char_length(statement) between 1 and 4000),
  received_at timestamptz not null
);
alter table safety.notices enable row level security;
-- The same again is the same notice.
create unique index notices_once on safety.notices (case_id, md5(contact || e'\n' || statement));
create index notices_case on safety.notices (case_id, id desc);
create index notices_received on safety.notices (received_at);
comment on table safety.notices is 'What strangers say about a video, and how they can be reached.';

-- How long the operator has for a notice: what the law of the United States gives for intimate pictures.
create function safety.answer_within()
returns interval
language sql
immutable
return interval '48 hours';

create function safety.report(p_job_id uuid, p_user_id uuid, p_reason text, p_details text, p_now timestamptz)
returns safety.reports
language plpgsql
volatile
set search_path = ''
as $$
-- Notes what a user says about a video. A second call, whatever it says, finds the first. It opens no case that was decided.
-- Locks: case.
declare
  v_case_id uuid;
  v_report safety.reports;
begin
  insert into safety.cases as c (job_id, opened_at) values (p_job_id, p_now)
  -- Locks it, so that the count is right.
  on conflict (job_id) do update set reports = c.reports
  returning c.id into v_case_id;
  insert into safety.reports (case_id, user_id, reason, details, created_at)
  values (v_case_id, p_user_id, p_reason::safety.ground, p_details, p_now)
  on conflict (case_id, user_id) do nothing
  returning * into v_report;
  if found then
    update safety.cases as c set reports = c.reports + 1 where c.id = v_case_id;
  else
    select r.* into strict v_report from safety.reports as r where r.case_id = v_case_id and r.user_id = p_user_id;
  end if;
  return v_report;
end;
$$;

create function safety.notify(p_job_id uuid, p_contact text, p_statement text, p_now timestamptz)
returns safety.notices
language plpgsql
volatile
set search_path = ''
as $$
-- Notes what a stranger says about a video. The first one that is not answered starts the clock; what was kept, or restored,
-- is open again, and what was said and decided before is over. Of a video that is gone it is only noted. The same again
-- changes nothing. Locks: case.
declare
  v_case safety.cases;
  v_notice safety.notices;
begin
  insert into safety.cases as c (job_id, opened_at) values (p_job_id, p_now)
  -- Locks it, so that the count is right.
  on conflict (job_id) do update set notices = c.notices
  returning c.* into v_case;
  insert into safety.notices (case_id, contact, statement, received_at)
  values (v_case.id, p_contact, p_statement, p_now)
  on conflict (case_id, md5(contact || e'\n' || statement)) do nothing
  returning * into v_notice;
  if found then
    update safety.cases as c set notices = c.notices + 1 where c.id = v_case.id;
    -- Asked with the case locked: whoever decides may have been first.
    if not exists (select from videos.jobs as j where j.id = p_job_id and j.removed_at is not null) then
      update safety.cases as c
      set status = 'open', due_at = coalesce(c.due_at, p_now + safety.answer_within()),
          ground = null, appeal = null, appealed_at = null, appeal_decided_at = null
      where c.id = v_case.id;
    end if;
  else
    select n.* into strict v_notice from safety.notices as n
    where n.case_id = v_case.id
      and md5(n.contact || e'\n' || n.statement) = md5(p_contact || e'\n' || p_statement);
  end if;
  return v_notice;
end;
$$;

create function safety.watch_clock()
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- The scheduled task `watch_notices`: as long as a notice has less than 12 hours left, or was not answered in time, its alert
-- stays open. One alert each, however many there are; the console has the cases. Locks: alerts.
declare
  v_now constant timestamptz := core.now();
  v_late record;
begin
  for v_late in
    select case when c.due_at <= v_now then 'takedown_missed' else 'takedown_due' end as rule, count(*) as cases,
      min(c.due_at) as first_due_at, (array_agg(c.job_id order by c.due_at))[1] as first_job_id
    from safety.cases as c
    where c.due_at <= v_now + interval '12 hours'
    group by 1
    order by 1
  loop
    perform ops.raise_alert(v_late.rule, 'notices', jsonb_build_object(
      'cases', v_late.cases, 'first_due_at', core.to_iso(v_late.first_due_at), 'first_job_id', v_late.first_job_id
    ));
  end loop;
end;
$$;

select core.keep_rows_out_of_logs('safety.reports');
select core.keep_rows_out_of_logs('safety.notices');
