-- videos: from a model and a prompt to a file in storage. In this order: models.sql, inputs.sql, projects.sql, jobs.sql,
-- submissions.sql, assets.sql, quality.sql, renewals.sql, uploads.sql, sources.sql, image-copies.sql, providers.sql, offers.sql,
-- settlement.sql, removal.sql, moderation.sql, acceptance.sql, bulk.sql, telling.sql, retention.sql, export.sql.

create schema videos;

create type videos.model_category as enum ('text_to_video', 'image_to_video', 'video_to_video');

create type videos.pricing_type as enum ('per_video', 'per_second');

-- The settings of a request that asks for none: of every model's three options, and of what else it takes (inputs.sql).
create function videos.default_settings(p_options jsonb, p_inputs jsonb)
returns jsonb
language sql
immutable
set search_path = ''
as $$
  select jsonb_build_object(
    'duration_seconds', p_options #> '{duration_seconds,default}', 'resolution', p_options #> '{resolution,default}',
    'aspect_ratio', p_options #> '{aspect_ratio,default}'
  ) || coalesce(jsonb_object_agg(i.input ->> 'name', i.input -> 'default') filter (where i.input ? 'default'), '{}')
  from jsonb_array_elements(p_inputs) as i (input)
$$;

-- What of settings is an input of the model's own, and none of the three options that every model has.
create function videos.inputs_in(p_settings jsonb)
returns jsonb
language sql
immutable
return p_settings - '{duration_seconds,resolution,aspect_ratio}'::text[];

create table videos.models (
  id uuid primary key default core.new_id(),
  name text not null check (char_length(name) between 1 and 100),
  description text not null,
  category videos.model_category not null,
  thumbnail_url text,
  is_featured boolean not null default false,
  is_available boolean not null default true,
  requires_image boolean not null default false,
  pricing_type videos.pricing_type not null,
  -- Credits a video, or a second of it.
  credits integer not null check (credits between 1 and 10000),
  -- As the API shows them: `{ duration_seconds: { values, default }, resolution: …, aspect_ratio: … }`.
  options jsonb not null check (
    options ?& array['duration_seconds', 'resolution', 'aspect_ratio']
    and options #> '{duration_seconds,values}' @> (options #> '{duration_seconds,default}')
    and options #> '{resolution,values}' @> (options #> '{resolution,default}')
    and options #> '{aspect_ratio,values}' @> (options #> '{aspect_ratio,default}')
    -- And of the forms that a request can have, or nobody could ask for it: whole seconds, up to 600, and short words.
    and jsonb_typeof(options #> '{duration_seconds,values}') is not distinct from 'array'
    and jsonb_typeof(options #> '{resolution,values}') is not distinct from 'array'
    and jsonb_typeof(options #> '{aspect_ratio,values}') is not distinct from 'array'
    and jsonb_typeof(options #> '{duration_seconds,default}') is not distinct from 'number'
    and jsonb_typeof(options #> '{resolution,default}') is not distinct from 'string'
    and jsonb_typeof(options #> '{aspect_ratio,default}') is not distinct from 'string'
    and not jsonb_path_exists(
      options, 'strict $.duration_seconds.values[*] ? (@.type() != "number" || @ < 1 || @ > 600 || @.floor() != @)',
      silent => true
    )
    and not jsonb_path_exists(
      options,
      'strict $.keyvalue() ? (@.key == "resolution" || @.key == "aspect_ratio").value.values[*]
        ? (@.type() != "string" || !(@ like_regex "^[A-Za-z0-9_.:-]{1,20}$"))',
      silent => true
    )
  ),
  -- The two bounds of a job: from acceptance until it starts, and from its start until it ends.
  start_within interval not null default interval '15 minutes' check (start_within > interval '0'),
  finish_within interval not null default interval '15 minutes' check (finish_within > interval '0'),
  position integer not null default 0,
  -- What it takes beside prompt and size, in the order of the catalogue: see inputs.sql.
  inputs jsonb not null default '[]',
  defaults jsonb generated always as (videos.default_settings(options, inputs)) stored,
  -- The settings that its videos only come near to, such as a duration that follows the source's: see videos.judge.
  unpromised text[] not null default '{}' check (unpromised <@ array['duration_seconds', 'resolution', 'aspect_ratio'])
);
alter table videos.models enable row level security;
comment on table videos.models is 'The catalogue. What is not available stays, for the jobs that were made with it.';

-- Jobs name their model for ever.
create function videos.keep_models()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  raise exception 'a model is never deleted; set is_available to false' using errcode = 'restrict_violation';
end;
$$;

create trigger keep_models before delete or truncate on videos.models
  for each statement execute function videos.keep_models();

-- The largest video that is stored: more costs the functions more CPU time than the platform gives
-- (docs/decisions/0028-a-stored-file-is-not-hashed.md). `_shared/videos/store.ts` has the same number.
create function videos.max_stored_bytes()
returns bigint
language sql
immutable
return 150 * 1024 * 1024;

create function videos.most_bytes_a_second(p_resolution text)
returns numeric
language plpgsql
immutable
set search_path = ''
as $$
-- What a second of video takes at most: 4 MB at 1080p, which is 32 Mbit/s and some twice what the providers deliver,
-- and as much more or less as the picture has more or fewer pixels. A word that tells no size counts as 1080p.
declare
  v_sides constant text[] := regexp_match(p_resolution, '^([0-9]{1,5})[x:]([0-9]{1,5})$');
  v_lines constant numeric := coalesce(
    substring(p_resolution from '^([0-9]{1,5})[pP]$')::numeric,
    -- 2k, 4k, 8k.
    substring(p_resolution from '^([0-9]{1,2})[kK]$')::numeric * 540
  );
begin
  return 4000000 * coalesce(v_lines ^ 2 / 1080 ^ 2, v_sides[1]::numeric * v_sides[2]::numeric / (1920 * 1080), 1);
end;
$$;

create function videos.check_stored_size()
returns trigger
language plpgsql
set search_path = ''
as $$
-- Refuses a model whose longest video could be too large to be stored, before anybody pays for one.
declare
  v_longest constant numeric := (
    select max(d::numeric) from jsonb_array_elements_text(new.options #> '{duration_seconds,values}') as d
  );
  v_most constant numeric := (
    select max(videos.most_bytes_a_second(r))
    from jsonb_array_elements_text(new.options #> '{resolution,values}') as r
  );
begin
  if v_longest * v_most > videos.max_stored_bytes() then
    raise exception 'a video of % s may have % MB at these resolutions, and at most % MB are stored',
        v_longest, ceil(v_longest * v_most / 1000000), videos.max_stored_bytes() / 1000000
      using errcode = 'check_violation',
        hint = format('sell up to %s s, or lower resolutions', floor(videos.max_stored_bytes() / v_most));
  end if;
  return null;
end;
$$;

-- After the checks of the table, which know the form of the options.
create trigger check_stored_size after insert or update of options on videos.models
  for each row execute function videos.check_stored_size();

-- Who can make a model's videos, in order of preference.
create table videos.model_providers (
  model_id uuid not null references videos.models,
  preference smallint not null check (preference >= 1),
  provider text not null check (provider in ('fal', 'replicate', 'runway')),
  -- The provider's own name of the model.
  provider_model text not null,
  -- US cents a video, or a second of it, as the model is priced.
  cost_cents numeric not null check (cost_cents >= 0),
  -- The longest prompt that it takes, in UTF-16 units, as JavaScript and providers count; null for any.
  prompt_max_units integer check (prompt_max_units > 0),
  -- Where it takes less than the model sells: `{ resolution: ["720p"], image: [false], … }`, all values of a setting's.
  takes jsonb not null default '{}' check (
    jsonb_typeof(takes) = 'object'
    and not jsonb_path_exists(takes, 'strict $.* ? (@.type() != "array")', silent => true)
  ),
  -- The field of its own that each of the model's inputs becomes: see inputs.sql.
  inputs jsonb not null default '{}',
  primary key (model_id, preference),
  unique (model_id, provider)
);
alter table videos.model_providers enable row level security;
comment on table videos.model_providers is 'The providers of a model; the lowest preference is asked first.';

create function videos.unfitting(p_model videos.models, p_settings jsonb, p_image_url text)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
-- Everything in a request that its model does not take, as `[{ path, message }]`; empty when all fits. What is not asked
-- for is the model's default, which fits.
declare
  v_name text;
  v_fields jsonb := '[]';
begin
  if p_settings <> '{}' then
    foreach v_name in array array['duration_seconds', 'resolution', 'aspect_ratio'] loop
      if not coalesce(p_model.options #> array[v_name, 'values'] @> (p_settings -> v_name), true) then
        v_fields := v_fields || jsonb_build_object(
          'path', 'settings.' || v_name,
          'message', format('This model takes one of %s', p_model.options #>> array[v_name, 'values'])
        );
      end if;
    end loop;
    if videos.inputs_in(p_settings) <> '{}' then
      v_fields := v_fields || videos.unfitting_inputs(p_model.inputs, videos.inputs_in(p_settings));
    end if;
  end if;
  if p_model.requires_image and p_image_url is null then
    v_fields := v_fields || '{"path": "image_url", "message": "This model needs an image"}'::jsonb;
  elsif p_image_url is not null and p_model.category <> 'image_to_video' then
    v_fields := v_fields || '{"path": "image_url", "message": "This model takes no image"}'::jsonb;
  end if;
  return v_fields;
end;
$$;
