-- What rules do beside telling: they lower limits and turn flags off, until what they are about is over.

-- What rules have done and not undone. Several may do the same thing: it is undone with the last of them. A rule that has
-- done something stays until that is undone: nothing else would know of it.
create table ops.alert_actions (
  rule text not null references ops.alert_rules,
  subject text not null,
  action ops.alert_action not null check (action <> 'notify'),
  -- The policy or the flag.
  target text not null,
  percent integer,
  -- Whether it was us who turned the flag off, and nobody decided about it before or since.
  is_ours boolean not null default true,
  acted_at timestamptz not null,
  primary key (rule, subject, action, target),
  check ((action = 'throttle') = (percent is not null))
);
alter table ops.alert_actions enable row level security;
create index alert_actions_target on ops.alert_actions (action, target);
comment on table ops.alert_actions is 'Which limits are lowered, and which flags are off, by which rule.';

create function ops.act(p_rule ops.alert_rules, p_subject text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Does what a rule does about a subject. A second call changes nothing. Locks: targets, in the order of their names.
declare
  v_target text;
  v_others boolean;
  v_is_ours boolean;
begin
  if p_rule.action = 'throttle' then
    for v_target in select distinct p.name from unnest(p_rule.policies) as p (name) order by p.name loop
      perform ops.lock_target('throttle', v_target);
      insert into ops.alert_actions (rule, subject, action, target, percent, acted_at)
      values (p_rule.name, p_subject, 'throttle', v_target, p_rule.throttle_percent, core.now())
      on conflict (rule, subject, action, target) do update set percent = excluded.percent;
      perform ops.apply_throttle(v_target);
    end loop;
  elsif p_rule.action = 'shutdown' then
    for v_target in
      select distinct replace(f.name, '{subject}', p_subject) from unnest(p_rule.flags) as f (name) order by 1
    loop
      perform ops.lock_target('shutdown', v_target);
      continue when exists (
        select from ops.alert_actions as a
        where a.rule = p_rule.name and a.subject = p_subject and a.action = 'shutdown' and a.target = v_target
      );
      select bool_or(a.is_ours) into v_others
      from ops.alert_actions as a
      where a.action = 'shutdown' and a.target = v_target;
      v_is_ours := ops.set_switch(v_target, false, null, format('by the alert rule %s: %s', p_rule.name, p_subject));
      insert into ops.alert_actions (rule, subject, action, target, is_ours, acted_at)
      values (p_rule.name, p_subject, 'shutdown', v_target, v_is_ours or coalesce(v_others, false), core.now());
      if v_is_ours then
        -- Whichever is the last of them to end turns it on.
        update ops.alert_actions as a set is_ours = true
        where a.action = 'shutdown' and a.target = v_target and not a.is_ours;
      end if;
    end loop;
  end if;
end;
$$;

create function ops.undo(p_rule text, p_subject text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Undoes what a rule has done about a subject, but for what another has done as well, and for a flag that was off before.
-- A second call changes nothing. Locks: targets, in the order of their names → flags → what was done.
declare
  v_action ops.alert_actions;
begin
  for v_action in
    select a.* from ops.alert_actions as a where a.rule = p_rule and a.subject = p_subject order by a.action, a.target
  loop
    perform ops.lock_target(v_action.action, v_action.target);
    -- Before what was done, as whoever turns it on by hand has it.
    perform from ops.feature_flags as f where v_action.action = 'shutdown' and f.key = v_action.target for no key update;
    delete from ops.alert_actions as a
    where (a.rule, a.subject, a.action, a.target) = (v_action.rule, v_action.subject, v_action.action, v_action.target)
    returning a.* into v_action;
    continue when not found;
    if v_action.action = 'throttle' then
      perform ops.apply_throttle(v_action.target);
    elsif v_action.is_ours then
      -- Whoever keeps it off is who turns it on in the end.
      update ops.alert_actions as o set is_ours = true where o.action = 'shutdown' and o.target = v_action.target;
      continue when found;
      perform ops.set_switch(v_action.target, true, null, format('the alert rule %s is over: %s', p_rule, p_subject));
    end if;
  end loop;
end;
$$;

create function ops.take_over(p_flag text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Somebody decides about a flag by hand: what rules have done to it is theirs no more, and their end leaves it as it is. The
-- caller has locked the flag. A second call changes nothing. Locks: what was done to it.
begin
  update ops.alert_actions as a set is_ours = false
  where a.action = 'shutdown' and a.target = p_flag and a.is_ours;
end;
$$;

create function ops.leave_flag()
returns trigger
language plpgsql
volatile
set search_path = ''
as $$
-- Whoever turns on what rules have turned off, in whatever way, decides about it. Locks: as ops.take_over.
begin
  perform ops.take_over(new.key);
  return null;
end;
$$;

create trigger left_by_rules after update of is_enabled on ops.feature_flags
  for each row when (new.is_enabled and not old.is_enabled) execute function ops.leave_flag();

create function ops.lock_target(p_action ops.alert_action, p_target text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Of two who act on the same policy or flag, the second sees what the first did. Locks: the target, of the alerts' locks.
begin
  perform pg_advisory_xact_lock(3, hashtext(p_action || ' ' || p_target));
end;
$$;

create function ops.apply_throttle(p_policy text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Gives a policy what the strictest rule leaves of it. The caller has locked the target. Locks: the policy.
begin
  perform guard.throttle(p_policy, coalesce((
    select min(a.percent) from ops.alert_actions as a where a.action = 'throttle' and a.target = p_policy
  ), 100));
end;
$$;
