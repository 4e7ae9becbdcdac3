-- Which provider can make what.

-- How long a prompt is in UTF-16 units: a character beyond the first 65,536 is two of them.
create function videos.prompt_units(p_prompt text)
returns integer
language sql
immutable
return char_length(p_prompt) + regexp_count(p_prompt, '[\U00010000-\U0010ffff]');

-- Whether a provider takes settings, defaults included, and an image or none, as far as its row says.
create function videos.takes_settings(p_offer videos.model_providers, p_settings jsonb, p_image_url text)
returns boolean
language sql
stable
return ((p_offer).takes = '{}' or (
  coalesce((p_offer).takes -> 'duration_seconds' @> (p_settings -> 'duration_seconds'), true)
  and coalesce((p_offer).takes -> 'resolution' @> (p_settings -> 'resolution'), true)
  and coalesce((p_offer).takes -> 'aspect_ratio' @> (p_settings -> 'aspect_ratio'), true)
  -- Not to_jsonb, which is not immutable: this function would not be inlined.
  and coalesce((p_offer).takes -> 'image' @> case when p_image_url is null then jsonb 'false' else 'true' end, true)
)) and (videos.inputs_in(p_settings) = '{}' or videos.takes_inputs(p_offer, p_settings));

-- Whether a provider takes a prompt of this length.
create function videos.takes_prompt(p_offer videos.model_providers, p_prompt text)
returns boolean
language sql
immutable
return (p_offer).prompt_max_units is null or (p_offer).prompt_max_units >= videos.prompt_units(p_prompt);

-- Those of p_providers, null being all, that may be asked for a job, now or later: enabled, able to make it, and none
-- that refused it.
create function videos.candidates(p_job videos.jobs, p_providers text[])
returns setof videos.model_providers
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select p.*
  from videos.model_providers as p
  join videos.providers as v on v.name = p.provider and v.is_enabled
  where p.model_id = p_job.model_id and (p_providers is null or p.provider = any (p_providers))
    and videos.takes_settings(p, p_job.settings, coalesce(p_job.image_url, p_job.image_upload_id::text)) and videos.takes_prompt(p, p_job.prompt)
    and not exists (
      select from videos.submissions as s
      where s.job_id = p_job.id and s.provider = p.provider and s.state = 'refused'
    );
end;
$$;

create function videos.is_offered(
  p_model videos.models, p_prompt text, p_settings jsonb, p_image_url text, p_providers text[]
)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Whether one of p_providers, null being all, may be asked for a video today: it is enabled, takes the request, and has
-- money left for it. One after the other, since the first nearly always does.
declare
  v_found record;
  v_offer videos.model_providers;
begin
  for v_found in
    select p as offer, m.cents
    from videos.model_providers as p
    join videos.money_left as m on m.provider = p.provider
    where p.model_id = p_model.id
    order by p.preference
  loop
    v_offer := v_found.offer;
    -- One question after the other: most have an answer that costs nothing, and are then not even prepared.
    if p_providers is not null then
      continue when not coalesce(v_offer.provider = any (p_providers), false);
    end if;
    if v_offer.takes <> '{}' or videos.inputs_in(p_settings) <> '{}' then
      continue when not videos.takes_settings(v_offer, p_settings, p_image_url);
    end if;
    if v_offer.prompt_max_units is not null then
      continue when not videos.takes_prompt(v_offer, p_prompt);
    end if;
    if v_found.cents is not null then
      continue when v_found.cents < videos.cost_cents(v_offer, p_model, p_settings);
    end if;
    return true;
  end loop;
  return false;
end;
$$;

create function videos.least_cents(p_provider text)
returns numeric
language plpgsql
stable
set search_path = ''
as $$
-- What the cheapest video costs with a provider, in US cents: the shortest that it takes of each model that is offered, with
-- every input that makes it cheaper. Null where it makes none. Takes no lock.
declare
  v_offer record;
  v_factor numeric;
  v_cents numeric;
  v_least numeric;
begin
  for v_offer in
    select p.cost_cents, p.inputs, m.pricing_type, d.seconds
    from videos.model_providers as p
    join videos.models as m on m.id = p.model_id and m.is_available
    cross join lateral (
      select min(o.value::numeric) as seconds
      from jsonb_array_elements(m.options #> '{duration_seconds,values}') as o (value)
      where coalesce(p.takes -> 'duration_seconds' @> o.value, true)
    ) as d
    where p.provider = p_provider and d.seconds is not null
  loop
    v_cents := v_offer.cost_cents * case v_offer.pricing_type when 'per_second' then v_offer.seconds else 1 end;
    for v_factor in select (i.value ->> 'cost_factor')::numeric from jsonb_each(v_offer.inputs) as i loop
      v_cents := v_cents * least(v_factor, 1);
    end loop;
    v_least := least(v_least, v_cents);
  end loop;
  return v_least;
end;
$$;

-- How many seconds all that may be asked for a job want to be left alone; 0 where one does not.
create function videos.busy_seconds(p_job videos.jobs, p_providers text[])
returns numeric
language sql
stable
set search_path = ''
as $$
  select coalesce(min(greatest(0, extract(epoch from v.busy_until - core.now()))), 0)
  from (
    -- A provider that asked for no time has none.
    select coalesce(v.busy_until, core.now()) as busy_until
    from videos.candidates(p_job, p_providers) as c
    join videos.providers as v on v.name = c.provider
  ) as v
$$;

create function videos.unmakeable(p_model videos.models, p_prompt text, p_settings jsonb, p_image_url text)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
-- What is wrong with a request that no provider of the model takes, as `[{ path, message }]`; empty where one does, and
-- where the model has no provider that is enabled.
declare
  v_offers integer;
  v_fitting integer;
  v_taking integer;
  v_units integer;
begin
  select count(*), count(*) filter (where f.fits), count(*) filter (where f.fits and f.takes_prompt),
    max(f.prompt_max_units) filter (where f.fits)
  into v_offers, v_fitting, v_taking, v_units
  from (
    select p.prompt_max_units, videos.takes_settings(p, p_settings, p_image_url) as fits,
      videos.takes_prompt(p, p_prompt) as takes_prompt
    from videos.model_providers as p
    join videos.providers as v on v.name = p.provider and v.is_enabled
    where p.model_id = p_model.id
  ) as f;
  return case
    when v_offers = 0 or v_taking > 0 then '[]'
    when v_fitting = 0 then '[{"path": "settings", "message": "This model does not make these settings together"}]'
    else jsonb_build_array(jsonb_build_object(
      'path', 'prompt', 'message', format('This model takes at most %s characters', v_units)
    ))
  end;
end;
$$;

create function videos.prompt_max_units(p_model_id uuid)
returns integer
language plpgsql
stable
set search_path = ''
as $$
-- The longest prompt that one of a model's providers takes, in UTF-16 units; null where that is no less than the API's.
begin
  return (
    select case when max(coalesce(p.prompt_max_units, 2000)) < 2000 then max(p.prompt_max_units) end
    from videos.model_providers as p
    join videos.providers as v on v.name = p.provider and v.is_enabled
    where p.model_id = p_model_id
  );
end;
$$;

create function videos.processors(p_model_id uuid, p_moderated_by text)
returns text[]
language plpgsql
stable
set search_path = ''
as $$
-- Who may get a prompt and an image for a model, by name and in order: the providers that are enabled, and the service that
-- judges prompts, if one does.
begin
  return array(
    select p.provider
    from videos.model_providers as p
    join videos.providers as v on v.name = p.provider
    where p.model_id = p_model_id and v.is_enabled
    union
    select p_moderated_by where p_moderated_by is not null
    order by 1
  );
end;
$$;

-- A model as the catalogue shows it.
create function videos.model_json(p_model videos.models, p_moderated_by text default null)
returns jsonb
language sql
stable
return jsonb_build_object(
  'id', (p_model).id, 'name', (p_model).name, 'description', (p_model).description, 'category', (p_model).category,
  'thumbnail_url', (p_model).thumbnail_url, 'is_featured', (p_model).is_featured,
  'requires_image', (p_model).requires_image,
  'processed_by', to_jsonb(videos.processors((p_model).id, p_moderated_by)),
  'pricing', jsonb_build_object('type', (p_model).pricing_type, 'credits', (p_model).credits),
  'options', (p_model).options
    || jsonb_strip_nulls(jsonb_build_object('prompt_max_characters', videos.prompt_max_units((p_model).id))),
  'inputs', (p_model).inputs
);

-- A model as the operator sees it: who gets the prompt, `providers_json` says.
create function videos.record_json(p_model videos.models)
returns jsonb
language sql
stable
return videos.model_json(p_model) - 'processed_by' || jsonb_build_object('is_available', (p_model).is_available);

-- The providers of a model in the order in which they are asked, and whether they get jobs now.
create function videos.providers_json(p_model_id uuid)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'provider', p.provider, 'is_enabled', v.is_enabled, 'breaker', v.breaker, 'cost_cents', p.cost_cents
  ) order by p.preference), '[]')
  from videos.model_providers as p
  join videos.providers as v on v.name = p.provider
  where p.model_id = p_model_id
$$;

-- How many models are offered that nobody can make now: of their providers none is among p_providers, null being all,
-- enabled, and without an open breaker.
create function videos.models_without_provider(p_providers text[])
returns integer
language sql
stable
set search_path = ''
as $$
  select count(*)::integer
  from videos.models as m
  where m.is_available and not exists (
    select from videos.model_providers as p
    join videos.providers as v on v.name = p.provider
    where p.model_id = m.id and v.is_enabled and v.breaker <> 'open'
      and (p_providers is null or p.provider = any (p_providers))
  )
$$;
