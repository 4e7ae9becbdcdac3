-- Who saw which variant of an experiment, from the first time on.
create table ops.exposures (
  flag text not null,
  user_id uuid not null,
  variant text not null,
  exposed_at timestamptz not null,
  primary key (flag, user_id, variant)
);
alter table ops.exposures enable row level security;
create index exposures_user on ops.exposures (user_id);
create index exposures_exposed_at on ops.exposures using brin (exposed_at);
comment on table ops.exposures is 'Each user and variant of an experiment, once.';

create function ops.count_exposure(p_key text, p_user_id uuid, p_variant text)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Counts that a user was given a variant of an experiment; true for the first time. A second call changes nothing, and takes no
-- lock. Of a flag that is no experiment it counts nothing.
begin
  if p_variant is null
    or exists (select from ops.exposures as e where e.flag = p_key and e.user_id = p_user_id and e.variant = p_variant)
    or not exists (select from ops.feature_flags as f where f.key = p_key and f.is_experiment)
  then
    return false;
  end if;
  insert into ops.exposures (flag, user_id, variant, exposed_at) values (p_key, p_user_id, p_variant, core.now())
  on conflict do nothing;
  return found;
end;
$$;

create view ops.experiments with (security_invoker = true) as
select e.flag, e.variant, count(*)::integer as exposures, min(e.exposed_at) as first_at, max(e.exposed_at) as last_at,
  (count(*) filter (where exists (
    select from videos.jobs as j
    where j.user_id = e.user_id and j.status = 'completed' and j.created_at >= e.exposed_at
  )))::integer as made_a_video,
  (count(*) filter (where exists (
    select from purchases.transactions as t where t.owner_id = e.user_id and t.credited_at >= e.exposed_at
  )))::integer as bought
from ops.exposures as e
group by e.flag, e.variant;
comment on view ops.experiments is
  'Of each variant how many users were given it, and how many of them made a video or bought something since; what that proves is for whoever does the statistics.';

select core.keep_rows_out_of_logs('ops.exposures');
