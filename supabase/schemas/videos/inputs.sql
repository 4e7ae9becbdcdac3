-- What a model takes beside prompt and size: seed, negative prompt, sound, an end frame, whatever its provider has.
--
-- videos.models.inputs declares them, in the order of the catalogue: `[{ name, type, min?, max?, values?, default?,
-- price_factor? }]`. Types and what their bounds mean:
--   integer, number   from min to max
--   boolean
--   text              of min (or 0) to max characters; the moderation reads it with the prompt
--   choice            one of values
--   image, images     an upload of the user's, or up to max of them
-- A request's `settings` take them, under their names. price_factor multiplies the price where an input is used: true, or
-- given and not its default.
--
-- videos.model_providers.inputs says what a provider makes of them, by name: `{ audio: { field: "generate_audio",
-- values?: { true: "on" }, cost_factor?: 1.5 } }`. A provider without an input's name is asked only for what has its default
-- or none; without `field` nothing is sent, for what it does anyhow.

create function videos.input_fault(p_input jsonb, p_value jsonb)
returns text
language plpgsql
immutable
set search_path = ''
as $$
-- Why a value is none of an input's, in words for a developer; null where it is one.
declare
  v_type constant text := p_input ->> 'type';
  v_is constant text := jsonb_typeof(p_value);
  v_min constant numeric := p_input ->> 'min';
  v_max constant numeric := p_input ->> 'max';
  v_uuid constant text := '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';
  v_number numeric;
begin
  if v_type in ('integer', 'number') then
    if v_is = 'number' then
      v_number := p_value;
    end if;
    if v_number between v_min and v_max and (v_type = 'number' or v_number = floor(v_number)) then
      return null;
    end if;
    return format('Must be a %s from %s to %s', case v_type when 'integer' then 'whole number' else 'number' end, v_min, v_max);
  elsif v_type = 'boolean' then
    return case when v_is <> 'boolean' then 'Must be true or false' end;
  elsif v_type = 'text' then
    return case when v_is <> 'string' or char_length(p_value #>> '{}') not between coalesce(v_min, 0) and v_max
      then format('Must be a text of %s to %s characters', coalesce(v_min, 0), v_max) end;
  elsif v_type = 'choice' then
    return case when not p_input -> 'values' @> p_value or v_is <> 'string'
      then format('Must be one of %s', p_input -> 'values') end;
  elsif v_type = 'image' then
    return case when v_is <> 'string' or p_value #>> '{}' !~ v_uuid then 'Must be the id of an upload' end;
  end if;
  if v_is = 'array' then
    if jsonb_array_length(p_value) between 1 and v_max and not exists (
      select from jsonb_array_elements(p_value) as u (id) where jsonb_typeof(u.id) <> 'string' or u.id #>> '{}' !~ v_uuid
    ) then
      return null;
    end if;
  end if;
  return format('Must be a list of 1 to %s ids of uploads', v_max);
end;
$$;

create function videos.check_inputs()
returns trigger
language plpgsql
set search_path = ''
as $$
-- Refuses a declaration that no request could fit, before it is in the catalogue.
declare
  v_input jsonb;
  v_names text[] := '{duration_seconds,resolution,aspect_ratio}';
  v_fault text;
begin
  if jsonb_typeof(new.inputs) <> 'array' or jsonb_array_length(new.inputs) > 20 then
    raise exception 'inputs are a list of at most 20' using errcode = 'check_violation';
  end if;
  for v_input in select i.input from jsonb_array_elements(new.inputs) as i (input) loop
    v_fault := case
      when jsonb_typeof(v_input) <> 'object'
        or v_input - '{name,type,min,max,values,default,price_factor}'::text[] <> '{}' then 'has other members'
      when coalesce(v_input ->> 'name' !~ '^[a-z][a-z0-9_]{0,39}$', true) then 'has no name in small letters'
      when v_input ->> 'name' = any (v_names) then 'has a name that is taken'
      when coalesce(v_input ->> 'type' not in (
        'integer', 'number', 'boolean', 'text', 'choice', 'image', 'images'
      ), true) then 'has no type'
      when v_input ->> 'type' in ('integer', 'number') and (
        jsonb_typeof(v_input -> 'min') is distinct from 'number' or jsonb_typeof(v_input -> 'max') is distinct from 'number'
      ) then 'has no bounds'
      -- As much as a request may have of them.
      when v_input ->> 'type' in ('text', 'images') and not coalesce(jsonb_path_exists(
        v_input, '$.max ? (@.type() == "number" && @ >= 1 && @ <= 2000)'
      ), false) then 'has no max'
      when v_input ->> 'type' = 'choice' and not coalesce(
        jsonb_typeof(v_input -> 'values') = 'array' and not jsonb_path_exists(
          v_input, 'strict $.values[*] ? (@.type() != "string" || !(@ like_regex "^[A-Za-z0-9_.:-]{1,40}$"))', silent => true
        ), false
      ) then 'has no words to choose from'
      when v_input ? 'default' and v_input ->> 'type' in ('image', 'images') then 'has a default that is nobody''s'
      when v_input ? 'default' and videos.input_fault(v_input, v_input -> 'default') is not null
        then 'has a default that is none of its values'
      when v_input ? 'price_factor' and not coalesce(jsonb_path_exists(
        v_input, '$.price_factor ? (@.type() == "number" && @ > 0 && @ <= 100)'
      ), false) then 'has no price factor from 0 to 100'
    end;
    if v_fault is not null then
      raise exception 'the input % %', v_input, v_fault using errcode = 'check_violation';
    end if;
    v_names := v_names || (v_input ->> 'name');
  end loop;
  return null;
end;
$$;

create trigger check_inputs after insert or update of inputs on videos.models
  for each row execute function videos.check_inputs();

-- Whether a provider's row speaks only of what a model may have: its options, a picture, and the inputs that it has fields for.
create function videos.is_takeable(p_takes jsonb, p_inputs jsonb)
returns boolean
language sql
immutable
set search_path = ''
as $$
  select videos.inputs_in(p_takes) - 'image'::text - array(select jsonb_object_keys(p_inputs)) = '{}'
$$;

alter table videos.model_providers add constraint model_providers_inputs_check check (
  jsonb_typeof(inputs) = 'object'
  and videos.is_takeable(takes, inputs)
  and not jsonb_path_exists(inputs, 'strict $.* ? (@.type() != "object")', silent => true)
  and not jsonb_path_exists(inputs, '$.*.keyvalue() ? (@.key == "field" && @.value.type() != "string")')
  and not jsonb_path_exists(inputs, '$.*.keyvalue() ? (@.key == "values" && @.value.type() != "object")')
  and not jsonb_path_exists(
    inputs, '$.*.keyvalue() ? (@.key == "cost_factor" && (@.value.type() != "number" || @.value <= 0))'
  )
);

create function videos.unfitting_inputs(p_inputs jsonb, p_given jsonb)
returns jsonb
language sql
immutable
set search_path = ''
as $$
  -- What of a request is no input of the model's, as `[{ path, message }]`.
  select coalesce(jsonb_agg(jsonb_build_object('path', 'settings.' || f.name, 'message', f.fault)), '[]')
  from (
    select g.name, case when i.input is null then 'This model has no such setting'
      else videos.input_fault(i.input, g.value) end as fault
    from jsonb_each(p_given) as g (name, value)
    left join jsonb_array_elements(p_inputs) as i (input) on i.input ->> 'name' = g.name
  ) as f
  where f.fault is not null
$$;

-- Whether a video is made with an input, and so at its factor: with true, or with what is given and is not the default.
create function videos.is_used(p_input jsonb, p_settings jsonb)
returns boolean
language sql
immutable
return coalesce(
  case p_input ->> 'type' when 'boolean' then p_settings -> (p_input ->> 'name') = 'true'
    else p_settings -> (p_input ->> 'name') is distinct from p_input -> 'default' and p_settings ? (p_input ->> 'name')
  end, false
);

-- What the price of a video is multiplied by for what it is made with.
create function videos.price_factor(p_inputs jsonb, p_settings jsonb)
returns numeric
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_input jsonb;
  v_factor numeric := 1;
begin
  for v_input in select i.input from jsonb_array_elements(p_inputs) as i (input) loop
    if v_input ? 'price_factor' and videos.is_used(v_input, p_settings) then
      v_factor := v_factor * (v_input -> 'price_factor')::numeric;
    end if;
  end loop;
  return v_factor;
end;
$$;

-- The price of a video in credits; there is no other. A part of a credit is a whole one.
create function videos.price(p_model videos.models, p_settings jsonb)
returns bigint
language sql
immutable
return case when videos.inputs_in(p_settings) = '{}' then
  (p_model).credits * case (p_model).pricing_type when 'per_second' then (p_settings ->> 'duration_seconds')::bigint else 1 end
else
  ceil(
    (p_model).credits * case (p_model).pricing_type when 'per_second' then (p_settings ->> 'duration_seconds')::bigint else 1 end
      * videos.price_factor((p_model).inputs, p_settings)
  )::bigint
end;

-- And what a provider's cost is multiplied by.
create function videos.cost_factor(p_offer videos.model_providers, p_inputs jsonb, p_settings jsonb)
returns numeric
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_input jsonb;
  v_factor numeric := 1;
begin
  for v_input in select i.input from jsonb_array_elements(p_inputs) as i (input) loop
    if videos.is_used(v_input, p_settings) then
      v_factor := v_factor * coalesce((p_offer.inputs #> array[v_input ->> 'name', 'cost_factor'])::numeric, 1);
    end if;
  end loop;
  return v_factor;
end;
$$;

create function videos.takes_inputs(p_offer videos.model_providers, p_settings jsonb)
returns boolean
language sql
stable
set search_path = ''
as $$
  -- Whether a provider has a field for each input among the settings, and takes its value. One without a field does what is
  -- the default anyhow.
  select not exists (
    select from jsonb_each(videos.inputs_in(p_settings)) as g (name, value)
    where not case
      when (p_offer).inputs ? g.name then coalesce((p_offer).takes -> g.name @> g.value, true)
      else exists (
        select from videos.models as m
        cross join lateral jsonb_array_elements(m.inputs) as i (input)
        where m.id = (p_offer).model_id and i.input ->> 'name' = g.name and i.input -> 'default' = g.value
      )
    end
  )
$$;

create function videos.provider_fields(p_offer videos.model_providers, p_settings jsonb)
returns jsonb
language sql
immutable
set search_path = ''
as $$
  -- The inputs among the settings, as the provider has them: its own fields and words.
  select coalesce(jsonb_object_agg(
    (p_offer).inputs #>> array[g.name, 'field'],
    coalesce((p_offer).inputs #> array[g.name, 'values', g.value #>> '{}'], g.value)
  ), '{}')
  from jsonb_each(videos.inputs_in(p_settings)) as g (name, value)
  where (p_offer).inputs -> g.name ? 'field'
$$;

create function videos.said(p_inputs jsonb, p_prompt text, p_settings jsonb)
returns text
language sql
immutable
set search_path = ''
as $$
  -- All that a user wrote for a video: the prompt, and the texts among the settings.
  select concat_ws(e'\n', p_prompt, (
    select string_agg(p_settings ->> (i.input ->> 'name'), e'\n' order by i.number)
    from jsonb_array_elements(p_inputs) with ordinality as i (input, number)
    where i.input ->> 'type' = 'text'
  ))
$$;

create function videos.pictures_in(p_inputs jsonb, p_settings jsonb)
returns setof uuid
language sql
immutable
set search_path = ''
as $$
  -- The uploads among the settings.
  select u.id::uuid
  from jsonb_array_elements(p_inputs) as i (input)
  cross join lateral (select p_settings -> (i.input ->> 'name')) as g (value)
  cross join lateral jsonb_array_elements_text(
    case jsonb_typeof(g.value) when 'array' then g.value when 'string' then jsonb_build_array(g.value) else '[]' end
  ) as u (id)
  where i.input ->> 'type' in ('image', 'images')
$$;
