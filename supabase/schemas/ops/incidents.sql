-- What was away, who did its work meanwhile, and when it came back.

create table ops.incidents (
  id uuid primary key default core.new_id(),
  -- `provider fal`, `storage`.
  subject text not null check (subject ~ '^(provider [a-z]+|storage)$'),
  began_at timestamptz not null,
  -- Null while it lasts.
  ended_at timestamptz,
  cause text check (char_length(cause) between 1 and 500),
  check (ended_at >= began_at)
);
alter table ops.incidents enable row level security;
create unique index incidents_open on ops.incidents (subject) where ended_at is null;
create index incidents_began on ops.incidents (began_at);
comment on table ops.incidents is 'What was away, from when until when.';

create function ops.begin_incident(p_subject text, p_cause text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Something is away. One that is known of lasts on: a second call changes nothing. Locks: the incident.
begin
  insert into ops.incidents (subject, began_at, cause) values (p_subject, core.now(), left(p_cause, 500))
  on conflict (subject) where ended_at is null do nothing;
end;
$$;

create function ops.end_incident(p_subject text, p_at timestamptz)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- It is back, since p_at. A second call changes nothing. Locks: the incident.
begin
  update ops.incidents as i set ended_at = greatest(i.began_at, p_at) where i.subject = p_subject and i.ended_at is null;
end;
$$;

create function ops.watch_storage()
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- The scheduled task `watch_storage`: Storage is back when nothing has met that it is away for two minutes, within which
-- each task that waits for it has tried twice. It was so from the first file that came through since. A second call changes
-- nothing. Locks: incident → alert.
declare
  v_last_at constant timestamptz := (
    select a.last_at from ops.alerts as a where a.rule = 'storage_away' and a.subject = 'storage' and a.resolved_at is null
  );
begin
  if exists (select from ops.incidents as i where i.subject = 'storage' and i.ended_at is null)
    and coalesce(v_last_at, '-infinity') < core.now() - interval '2 minutes'
  then
    perform ops.end_incident('storage', coalesce(
      (select min(a.created_at) from videos.assets as a where a.created_at > v_last_at),
      core.now()
    ));
    perform ops.resolve_alert('storage_away', 'storage');
  end if;
end;
$$;

create view ops.incident_log with (security_invoker = true) as
select i.id, i.subject, i.began_at, i.ended_at, i.ended_at - i.began_at as lasted, i.cause,
  -- Who took jobs that it did not take.
  (
    select array_agg(distinct o.provider order by o.provider)
    from videos.submissions as s
    join videos.submissions as o on o.job_id = s.job_id and o.provider <> s.provider and o.state in ('accepted', 'ended')
    -- So that the index of those is asked for the provider.
    where s.provider = substring(i.subject from '^provider (.*)$') and s.state = 'not_accepted'
      and s.claimed_at >= i.began_at - interval '10 minutes' and s.claimed_at < coalesce(i.ended_at, 'infinity')
  ) as taken_over_by
from ops.incidents as i;
comment on view ops.incident_log is 'What was away, from when until when, and which providers took the jobs. Ids sort by time: order by id desc.';
