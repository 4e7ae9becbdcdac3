-- A 32-bit word of some bytes, as MurmurHash3 scrambles it. A rotation stands here as what it is, a product modulo 2^32 - 1, which
-- names the number once; and constants as signed numbers, so that no product leaves a bigint.
create function ops.murmur3_word(p_bytes bytea, p_place integer)
returns bigint
language sql
immutable
return ((((
    get_byte(p_bytes, p_place) | (get_byte(p_bytes, p_place + 1) << 8)
      | (get_byte(p_bytes, p_place + 2) << 16) | (get_byte(p_bytes, p_place + 3) << 24)
  )::bigint * -862048943 & 4294967295) << 15) - 1) % 4294967295 + 1;

-- A hash with such a word mixed in.
create function ops.murmur3_mixed(p_hash bigint, p_bytes bytea, p_place integer)
returns bigint
language sql
immutable
return (
  (((p_hash # (ops.murmur3_word(p_bytes, p_place) * 461845907 & 4294967295)) << 13) - 1) % 4294967295 + 1
) * 5 + 3864292196 & 4294967295;

create function ops.murmur3(p_text text)
returns bigint
language plpgsql
immutable
set search_path = ''
as $$
-- MurmurHash3 (x86, 32 bits, seed 0) of a text in ASCII, from 0 to 2^32 - 1: flagd's own, so that both put a user into the same bucket.
declare
  -- The last word is filled up with zeros, and one of zeros changes nothing.
  v_bytes constant bytea := convert_to(p_text, 'UTF8') || '\x000000';
  v_length constant integer := length(v_bytes) - 3;
  v_hash bigint := 0;
  v_place integer := 0;
begin
  -- A user's id alone has nine words. Each statement costs as much as two words do.
  if v_length >= 32 then
    v_hash := ops.murmur3_mixed(ops.murmur3_mixed(ops.murmur3_mixed(ops.murmur3_mixed(
      ops.murmur3_mixed(ops.murmur3_mixed(ops.murmur3_mixed(ops.murmur3_mixed(
        v_hash, v_bytes, 0), v_bytes, 4), v_bytes, 8), v_bytes, 12), v_bytes, 16), v_bytes, 20), v_bytes, 24), v_bytes, 28);
    v_place := 32;
  end if;
  for v_word in v_place .. v_length - 4 by 4 loop
    v_hash := ops.murmur3_mixed(v_hash, v_bytes, v_word);
  end loop;
  v_hash := v_hash # (
    case v_length & 3 when 0 then 0 else ops.murmur3_word(v_bytes, v_length & -4) * 461845907 & 4294967295 end
  ) # v_length;
  v_hash := (v_hash # (v_hash >> 16)) * -2048144789 & 4294967295;
  v_hash := (v_hash # (v_hash >> 13)) * -1028477387 & 4294967295;
  return v_hash # (v_hash >> 16);
end;
$$;

create function ops.version_parts(p_version text)
returns text[]
language plpgsql
immutable
set search_path = ''
as $$
-- A semantic version's major, minor and patch number, and what stands before its release; null where it is none. As flagd reads
-- them: with or without a `v` before it, and `1.2` is `1.2.0`. Numbers of up to nine digits.
declare
  -- Without its build. What is captured in a form as long as this one costs thirty times as much as whether it fits.
  v_plain constant text := split_part(ltrim(p_version, 'vV'), '+', 1);
  v_numbers constant text := split_part(v_plain, '-', 1);
begin
  if p_version ~ (
    '^[vV]?(?:0|[1-9][0-9]{0,8})(?:\.(?:0|[1-9][0-9]{0,8})){2}'
      '(?:-(?:0|[1-9][0-9]{0,8}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9][0-9]{0,8}|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*)?'
      '(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$'
  ) then
    return array[
      split_part(v_numbers, '.', 1), split_part(v_numbers, '.', 2), split_part(v_numbers, '.', 3),
      nullif(substr(v_plain, char_length(v_numbers) + 2), '')
    ];
  elsif p_version ~ '^[vV]?[0-9]{1,9}(?:\.[0-9]{1,9})?$' then
    return array[split_part(v_plain, '.', 1), coalesce(nullif(split_part(v_plain, '.', 2), ''), '0'), '0', null];
  end if;
  return null;
end;
$$;

create function ops.compare_versions(p_one text[], p_other text[])
returns integer
language plpgsql
immutable
set search_path = ''
as $$
-- -1, 0 or 1, as the first of two versions (ops.version_parts) comes before, with or after the other: semver.org, rule 11.
declare
  v_ones text[];
  v_others text[];
  v_one text;
  v_other text;
begin
  for v_index in 1 .. 3 loop
    if p_one[v_index]::integer <> p_other[v_index]::integer then
      return sign(p_one[v_index]::integer - p_other[v_index]::integer);
    end if;
  end loop;
  if p_one[4] is null or p_other[4] is null then
    -- What is not released yet comes before its release.
    return (p_one[4] is null)::integer - (p_other[4] is null)::integer;
  end if;
  v_ones := string_to_array(p_one[4], '.');
  v_others := string_to_array(p_other[4], '.');
  for v_index in 1 .. greatest(cardinality(v_ones), cardinality(v_others)) loop
    v_one := v_ones[v_index];
    v_other := v_others[v_index];
    if v_one is null or v_other is null then
      return (v_other is null)::integer - (v_one is null)::integer;
    end if;
    continue when v_one = v_other;
    if v_one ~ '^[0-9]+$' and v_other ~ '^[0-9]+$' then
      return sign(v_one::integer - v_other::integer);
    elsif v_one ~ '^[0-9]+$' or v_other ~ '^[0-9]+$' then
      -- Numbers come before words.
      return case when v_one ~ '^[0-9]+$' then -1 else 1 end;
    end if;
    return case when v_one < v_other collate "C" then -1 else 1 end;
  end loop;
  return 0;
end;
$$;

create function ops.fits_version(p_version text, p_comparison text)
returns boolean
language plpgsql
immutable
set search_path = ''
as $$
-- Whether a version is as a comparison such as `>=1.2.0` says; null where either is no version. `^` is the same major number,
-- `~` the same minor number, too.
declare
  v_operator constant text := (regexp_match(p_comparison, '^(?:=|!=|<=?|>=?|\^|~)'))[1];
  v_version constant text[] := ops.version_parts(p_version);
  v_bound constant text[] := ops.version_parts(btrim(substr(p_comparison, char_length(v_operator) + 1)));
begin
  if v_version[1] is null or v_bound[1] is null then
    return null;
  end if;
  return case v_operator
    when '=' then ops.compare_versions(v_version, v_bound) = 0
    when '!=' then ops.compare_versions(v_version, v_bound) <> 0
    when '<' then ops.compare_versions(v_version, v_bound) < 0
    when '<=' then ops.compare_versions(v_version, v_bound) <= 0
    when '>' then ops.compare_versions(v_version, v_bound) > 0
    when '>=' then ops.compare_versions(v_version, v_bound) >= 0
    when '^' then v_version[1]::integer = v_bound[1]::integer
    when '~' then v_version[1]::integer = v_bound[1]::integer and v_version[2]::integer = v_bound[2]::integer
  end;
end;
$$;

-- What a flag is for somebody: the value, null where it is for the app's code to say; which variant; why, in the words of OpenFeature
-- (STATIC, TARGETING_MATCH, SPLIT, DEFAULT, DISABLED, ERROR); and of an ERROR, what went wrong.
create type ops.evaluation as (value jsonb, variant text, reason text, detail text);

create function ops.evaluate(p_flag ops.feature_flags, p_user_id uuid, p_context jsonb)
returns ops.evaluation
language plpgsql
stable
set search_path = ''
as $$
-- What a flag is for a user, and for what their app says of itself: `app_version`, `platform` and `locale` of the context, of which
-- nothing is believed that a right stands on. A rule whose condition asks for what is not there does not fit; one that cannot be
-- evaluated ends it, with the default variant and the reason ERROR. Takes no lock.
declare
  v_rules constant jsonb := p_flag.rules;
  v_rule jsonb;
  v_split jsonb;
  v_fits boolean;
  v_version text;
  v_total bigint := 0;
  v_bucket bigint;
  v_variant text;
begin
  if not p_flag.is_enabled then
    return (p_flag.variants -> p_flag.off_variant, p_flag.off_variant, 'DISABLED', null)::ops.evaluation;
  elsif v_rules is null then
    return (p_flag.variants -> p_flag.default_variant, p_flag.default_variant, 'STATIC', null)::ops.evaluation;
  end if;
  <<rules>>
  for v_index in 0 .. jsonb_array_length(v_rules) - 1 loop
    v_rule := v_rules -> v_index;
    continue when v_rule ? 'users' and (v_rule -> 'users' ? p_user_id::text) is not true
      or v_rule ? 'platforms' and (v_rule -> 'platforms' ? (p_context ->> 'platform')) is not true
      or v_rule ? 'locales' and (v_rule -> 'locales' ? (p_context ->> 'locale')) is not true;
    if v_rule ? 'from' or v_rule ? 'until' then
      continue when core.now() < (v_rule ->> 'from')::timestamptz or core.now() >= (v_rule ->> 'until')::timestamptz;
    end if;
    if v_rule ? 'app_versions' then
      v_version := p_context ->> 'app_version';
      continue when v_version is null;
      for v_place in 0 .. jsonb_array_length(v_rule -> 'app_versions') - 1 loop
        v_fits := ops.fits_version(v_version, v_rule -> 'app_versions' ->> v_place);
        if v_fits is null then
          return (
            p_flag.variants -> p_flag.default_variant, p_flag.default_variant, 'ERROR',
            format('rules[%s]: app_version is no semantic version', v_index)
          )::ops.evaluation;
        end if;
        continue rules when not v_fits;
      end loop;
    end if;

    v_variant := v_rule ->> 'variant';
    if v_variant is not null then
      return (p_flag.variants -> v_variant, v_variant, 'TARGETING_MATCH', null)::ops.evaluation;
    elsif p_user_id is null then
      return (
        p_flag.variants -> p_flag.default_variant, p_flag.default_variant, 'ERROR',
        format('rules[%s]: a split needs a user', v_index)
      )::ops.evaluation;
    end if;
    v_split := v_rule -> 'split';
    for v_place in 0 .. jsonb_array_length(v_split) - 1 loop
      v_total := v_total + (v_split -> v_place -> 'weight')::bigint;
    end loop;
    v_bucket := (ops.murmur3(p_flag.key || p_user_id) * v_total) >> 32;
    for v_place in 0 .. jsonb_array_length(v_split) - 1 loop
      v_bucket := v_bucket - (v_split -> v_place -> 'weight')::bigint;
      if v_bucket < 0 then
        v_variant := v_split -> v_place ->> 'variant';
        return (p_flag.variants -> v_variant, v_variant, 'SPLIT', null)::ops.evaluation;
      end if;
    end loop;
  end loop;
  return (p_flag.variants -> p_flag.default_variant, p_flag.default_variant, 'DEFAULT', null)::ops.evaluation;
end;
$$;

create function ops.flag(p_key text, p_user_id uuid, p_context jsonb default '{}')
returns ops.evaluation
language plpgsql
stable
set search_path = ''
as $$
-- What a flag is for a user (ops.evaluate), for a procedure that decides by it; one that there is not has no value, and the reason
-- ERROR. It counts no exposure: whoever acts on an experiment calls ops.count_exposure. Takes no lock.
declare
  v_flag ops.feature_flags;
begin
  select f.* into v_flag from ops.feature_flags as f where f.key = p_key;
  if not found then
    return (null, null, 'ERROR', 'there is no such flag')::ops.evaluation;
  elsif v_flag.is_enabled and v_flag.rules is null then
    -- As ops.evaluate has it, for two thirds of the price.
    return (v_flag.variants -> v_flag.default_variant, v_flag.default_variant, 'STATIC', null)::ops.evaluation;
  end if;
  return ops.evaluate(v_flag, p_user_id, p_context);
end;
$$;
