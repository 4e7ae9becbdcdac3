-- A flag as the operator sees it.
create function ops.flag_json(p_flag ops.feature_flags)
returns jsonb
language sql
stable
return jsonb_build_object(
  'key', (p_flag).key, 'type', (p_flag).type, 'is_enabled', (p_flag).is_enabled, 'is_switch', (p_flag).is_switch,
  'is_experiment', (p_flag).is_experiment, 'variants', (p_flag).variants, 'default_variant', (p_flag).default_variant,
  'off_variant', (p_flag).off_variant, 'rules', coalesce((p_flag).rules, '[]'), 'description', (p_flag).description,
  'version', (p_flag).version
);

-- Whether a value is a list of so many texts, each of this form.
create function ops.are_texts(p_value jsonb, p_form text, p_most integer)
returns boolean
language sql
immutable
return jsonb_typeof(p_value) = 'array' and jsonb_array_length(p_value) between 1 and p_most and not exists (
  select from jsonb_array_elements(p_value) as e (item)
  where jsonb_typeof(e.item) <> 'string' or e.item #>> '{}' !~ p_form
);

create function ops.rule_faults(p_rule jsonb, p_variants jsonb, p_is_last boolean)
returns setof text
language plpgsql
stable
set search_path = ''
as $$
-- What is wrong with a rule, each as `member: what`.
declare
  v_conditions constant text[] := '{users,platforms,locales,app_versions,from,until}';
  v_name text;
begin
  if jsonb_typeof(p_rule) <> 'object' then
    return next ': must be an object';
    return;
  end if;
  for v_name in select k.name from jsonb_object_keys(p_rule) as k (name) where k.name <> all (v_conditions || '{variant,split}') loop
    return next v_name || ': is unknown';
  end loop;
  if p_rule ? 'users' and not ops.are_texts(p_rule -> 'users', '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$', 1000) then
    return next 'users: must be 1 to 1000 ids of users';
  end if;
  foreach v_name in array '{platforms,locales}'::text[] loop
    if p_rule ? v_name and not ops.are_texts(p_rule -> v_name, '^.{1,100}$', 100) then
      return next v_name || ': must be 1 to 100 texts';
    end if;
  end loop;
  if p_rule ? 'app_versions' and (
    not ops.are_texts(p_rule -> 'app_versions', '^(=|!=|<=?|>=?|\^|~) *[^ =<>~^]{1,100}$', 10) or exists (
      select from jsonb_array_elements_text(p_rule -> 'app_versions') as c (comparison)
      where ops.fits_version('1.0.0', c.comparison) is null
    )
  ) then
    return next 'app_versions: must be 1 to 10 comparisons with semantic versions, such as ">=1.2.0"';
  end if;
  foreach v_name in array '{from,until}'::text[] loop
    -- In one form, so that reading it depends on no setting, and no finer than flagd has it.
    if p_rule ? v_name and (
      p_rule ->> v_name !~ '^\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,3})?Z$' or not pg_input_is_valid(p_rule ->> v_name, 'timestamptz')
    ) is not false then
      return next v_name || ': must be a time in UTC, such as "2027-01-01T00:00:00Z"';
    end if;
  end loop;

  if (p_rule ? 'variant') = (p_rule ? 'split') then
    return next ': must have either a variant or a split';
  end if;
  if p_rule ? 'variant' and not coalesce(p_variants ? (p_rule ->> 'variant'), false) then
    return next 'variant: is none of the flag''s';
  end if;
  if p_rule ? 'split' and (
    jsonb_typeof(p_rule -> 'split') <> 'array' or jsonb_array_length(p_rule -> 'split') not between 1 and 20 or exists (
      select from jsonb_array_elements(p_rule -> 'split') as e (part)
      where jsonb_typeof(e.part) <> 'object'
        or (p_variants ? (e.part ->> 'variant')) is not true
        or (e.part ->> 'weight' ~ '^\d{1,6}$' and jsonb_typeof(e.part -> 'weight') = 'number') is not true
        or e.part - '{variant,weight}'::text[] <> '{}'
    )
  ) then
    return next 'split: must be 1 to 20 of the flag''s variants, each with a whole weight up to 999999';
  elsif p_rule ? 'split' and (select sum((e.part ->> 'weight')::bigint) from jsonb_array_elements(p_rule -> 'split') as e (part)) = 0 then
    return next 'split: must weigh something';
  end if;
  if not p_is_last and not p_rule ?| v_conditions then
    return next ': fits everybody, so that no rule after it is reached';
  end if;
end;
$$;

create function ops.flag_faults(p_flag ops.feature_flags)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
-- What is wrong with a flag, as the API tells it: `[{ path, message }]`, empty for nothing.
declare
  v_faults text[] := '{}';
  v_variants constant jsonb := (p_flag).variants;
begin
  if jsonb_typeof(v_variants) <> 'object' or v_variants = '{}' then
    return '[{"path": "variants", "message": "Must name at least one value"}]';
  end if;
  select v_faults || coalesce(array_agg(format('variants.%s: must be of the type %s', v.name, (p_flag).type)), '{}') into v_faults
  from jsonb_each(v_variants) as v (name, value)
  where jsonb_typeof(v.value) <> (p_flag).type::text or v.name !~ '^[A-Za-z0-9._-]{1,100}$';
  if not v_variants ? (p_flag).default_variant then
    v_faults := v_faults || 'default_variant: is none of the flag''s variants'::text;
  end if;
  if not v_variants ? coalesce((p_flag).off_variant, (p_flag).default_variant) then
    v_faults := v_faults || 'off_variant: is none of the flag''s variants'::text;
  end if;
  if (p_flag).is_switch and (
    v_variants <> '{"on": true, "off": false}' or (p_flag).default_variant <> 'on' or (p_flag).off_variant is distinct from 'off'
    or (p_flag).rules is not null
  ) then
    v_faults := v_faults || 'rules: the backend asks this flag for everybody at once: it is on or off'::text;
  end if;
  if jsonb_typeof((p_flag).rules) <> 'array' or jsonb_array_length((p_flag).rules) not between 1 and 50 then
    v_faults := v_faults || 'rules: must be 1 to 50'::text;
  else
    select v_faults || coalesce(array_agg(
      'rules[' || r.number - 1 || ']' || case when f.fault like ':%' then '' else '.' end || f.fault order by r.number
    ), '{}')
    into v_faults
    from jsonb_array_elements((p_flag).rules) with ordinality as r (rule, number)
    cross join lateral ops.rule_faults(r.rule, v_variants, r.number = jsonb_array_length((p_flag).rules)) as f (fault);
  end if;
  return (
    select coalesce(jsonb_agg(jsonb_build_object('path', f.parts[1], 'message', upper(left(f.parts[2], 1)) || substr(f.parts[2], 2))), '[]')
    from unnest(v_faults) as u (fault)
    cross join lateral regexp_match(u.fault, '^(.*?): (.*)$') as f (parts)
  );
end;
$$;

create function ops.note_flag_change(
  p_before jsonb, p_after jsonb, p_admin_id uuid, p_reason text, p_request_id text
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Writes down that a flag was changed, made (p_before is null) or deleted (p_after is null), with what is different.
begin
  insert into ops.admin_actions (action, admin_id, subject, details, reason, request_id, created_at)
  select case when p_before - '{is_enabled,version}'::text[] = p_after - '{is_enabled,version}'::text[]
      then 'switch_flag' else 'change_flag' end::ops.admin_action,
    p_admin_id, 'flag ' || (coalesce(p_after, p_before) ->> 'key'), jsonb_build_object(
      'before', case when p_before is not null then coalesce(
        (select jsonb_object_agg(b.key, b.value) from jsonb_each(p_before) as b where p_after -> b.key is distinct from b.value), '{}'
      ) end,
      'after', case when p_after is not null then coalesce(
        (select jsonb_object_agg(a.key, a.value) from jsonb_each(p_after) as a where p_before -> a.key is distinct from a.value), '{}'
      ) end
    ), p_reason, p_request_id, core.now();
end;
$$;

create function ops.keep_flags()
returns trigger
language plpgsql
volatile
set search_path = ''
as $$
-- Lets nothing be written that ops.evaluate could not read, and writes down what is made, changed or deleted by hand: our own
-- procedures count the version, and say who changed it and why.
begin
  if tg_when = 'AFTER' then
    perform ops.note_flag_change(null, ops.flag_json(new), null, format('by %s in the database', session_user), null);
    return null;
  elsif tg_op = 'DELETE' then
    perform ops.note_flag_change(ops.flag_json(old), null, null, format('by %s in the database', session_user), null);
    return old;
  end if;
  if new.rules = '[]' then
    new.rules := null;
  end if;
  if ops.flag_faults(new) <> '[]' then
    raise exception 'flag %: %', new.key, ops.flag_faults(new) using errcode = 'invalid_parameter_value';
  end if;
  if tg_op = 'UPDATE' and new.version = old.version and new is distinct from old then
    new.version := old.version + 1;
    perform ops.note_flag_change(
      ops.flag_json(old), ops.flag_json(new), null, format('by %s in the database', session_user), null
    );
  end if;
  return new;
end;
$$;

create trigger kept before insert or update or delete on ops.feature_flags
  for each row execute function ops.keep_flags();
-- Not before: of an insert that finds the flag there already nothing is to be told.
create trigger noted after insert on ops.feature_flags
  for each row when (new.version = 0) execute function ops.keep_flags();

create function ops.put_flag(
  p_flag ops.feature_flags, p_admin_id uuid, p_reason text, p_request_id text default null
)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Makes a flag, or makes it so, and writes that down; true where it was otherwise. The version is counted here. A second call changes nothing.
-- Raises invalid_parameter_value for what is wrong (ops.flag_faults). Locks: flag.
declare
  v_old ops.feature_flags;
  v_new ops.feature_flags := p_flag;
begin
  if v_new.rules = '[]' then
    v_new.rules := null;
  end if;
  v_new.version := 1;
  insert into ops.feature_flags select (v_new).* on conflict (key) do nothing;
  if found then
    perform ops.note_flag_change(null, ops.flag_json(v_new), p_admin_id, p_reason, p_request_id);
    return true;
  end if;
  select f.* into strict v_old from ops.feature_flags as f where f.key = p_flag.key for no key update;
  v_new.version := v_old.version;
  if v_new is not distinct from v_old then
    return false;
  end if;
  v_new.version := v_old.version + 1;
  update ops.feature_flags as f
  set is_enabled = v_new.is_enabled, is_switch = v_new.is_switch, is_experiment = v_new.is_experiment, version = v_new.version,
      type = v_new.type, variants = v_new.variants, default_variant = v_new.default_variant, off_variant = v_new.off_variant,
      rules = v_new.rules, description = v_new.description
  where f.key = p_flag.key;
  perform ops.note_flag_change(ops.flag_json(v_old), ops.flag_json(v_new), p_admin_id, p_reason, p_request_id);
  return true;
end;
$$;

create function ops.set_switch(p_key text, p_is_enabled boolean, p_admin_id uuid, p_reason text)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Turns a flag on or off as ops.switch_flag does, but for a rule, which does not decide what becomes of it afterwards. Locks: flag.
declare
  v_flag ops.feature_flags;
begin
  select f.* into v_flag from ops.feature_flags as f where f.key = p_key for no key update;
  if not found then
    -- What nobody named is on.
    if p_is_enabled then
      return false;
    end if;
    insert into ops.feature_flags (key, is_switch, version) values (p_key, true, 1) on conflict (key) do nothing;
    -- Ours, or that of whoever was faster.
    select f.* into strict v_flag from ops.feature_flags as f where f.key = p_key for no key update;
  end if;
  v_flag.is_enabled := p_is_enabled;
  return ops.put_flag(v_flag, p_admin_id, p_reason);
end;
$$;

create function ops.switch_flag(p_key text, p_is_enabled boolean, p_admin_id uuid, p_reason text)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
begin
  perform from ops.feature_flags as f where f.key = p_key for no key update;
  perform ops.take_over(p_key);
  return ops.set_switch(p_key, p_is_enabled, p_admin_id, p_reason);
end;
$$;
comment on function ops.switch_flag(text, boolean, uuid, text) is
  'Turns a flag on or off, and writes down by whom and why: select ops.switch_flag(''generation'', false, null, ''<why>'').
p_admin_id is null for a hand in the database. True where it was otherwise; a second call changes nothing. A flag that nobody
named is on, and made where it is turned off. No rule that has turned it off turns it on again. Locks: flag → what rules have done to it.';
