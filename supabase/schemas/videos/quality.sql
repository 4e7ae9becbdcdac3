-- Whether a video is what was ordered.

create table videos.tolerances (
  fact text primary key check (fact in ('duration', 'aspect_ratio', 'resolution', 'codec', 'frame_rate')),
  -- How much less, and how much more, than what was ordered, as a part of it; null for any.
  less numeric check (less between 0 and 1),
  more numeric check (more >= 0),
  -- What nobody orders by its number: at least so much, or one of these.
  at_least numeric check (at_least >= 0),
  one_of text[] check (cardinality(one_of) > 0),
  reason text not null
);
alter table videos.tolerances enable row level security;
comment on table videos.tolerances is
  'How far a video may be from what was ordered before its credits go back. What has no row is not compared.';

-- The lines of a resolution, the shorter side of its picture: 1080p, 4k, 1920x1080. Null for a word that tells none.
create function videos.lines_of(p_resolution text)
returns numeric
language sql
immutable
return coalesce(
  substring(p_resolution from '^([0-9]{1,5})[pP]$')::numeric,
  -- 2k, 4k, 8k.
  substring(p_resolution from '^([0-9]{1,2})[kK]$')::numeric * 540,
  least(
    substring(p_resolution from '^([0-9]{1,5})[x:][0-9]{1,5}$')::numeric,
    substring(p_resolution from '^[0-9]{1,5}[x:]([0-9]{1,5})$')::numeric
  )
);

create function videos.judge(
  p_settings jsonb, p_unpromised text[], p_duration_milliseconds integer, p_width integer, p_height integer,
  p_codec text, p_frames integer, out differences jsonb, out quality smallint
)
language plpgsql
stable
set search_path = ''
as $$
-- How a video, as its container tells, differs from the settings that it was ordered with: `differences` has what lies
-- outside of videos.tolerances, `{ duration_milliseconds, aspect_ratio, resolution, codec, frames }`, null where nothing
-- does. `quality` is 100 for what is exactly as ordered, and 0 at the bounds: the mean of what could be compared, null where
-- nothing could. What the model does not promise (p_unpromised, names of settings) is not compared, nor is what has no
-- number, such as a ratio that is a word, or what the file does not tell: that is null.
declare
  v_seconds constant numeric := nullif(
    substring(p_settings ->> 'duration_seconds' from '^[0-9]{1,9}$')::numeric
      * (not 'duration_seconds' = any (p_unpromised))::integer, 0
  );
  v_sides constant text[] := regexp_match(
    p_settings ->> 'aspect_ratio', '^([0-9]{1,9}(?:[.][0-9]{1,9})?):([0-9]{1,9}(?:[.][0-9]{1,9})?)$'
  );
  -- Multiplied before anything is divided: 1216x720 is 95 % of 16:9, and not a little less.
  v_across constant numeric := nullif(v_sides[1]::numeric * (not 'aspect_ratio' = any (p_unpromised))::integer, 0);
  v_down constant numeric := nullif(v_sides[2]::numeric, 0);
  v_lines constant numeric := nullif(
    videos.lines_of(p_settings ->> 'resolution') * (not 'resolution' = any (p_unpromised))::integer, 0
  );
  v_width constant numeric := p_width;
  v_found record;
begin
  select
    jsonb_object_agg(m.name, m.delivered) filter (where not m.is_tolerated) as differences,
    round(100 * (1 - avg(m.used)))::smallint as quality
  into v_found
  from (
    select f.name, f.delivered,
      case t.fact
        when 'codec' then f.delivered #>> '{}' = any (t.one_of)
        when 'frame_rate' then p_frames > 0 and coalesce(f.part >= t.at_least, true)
        else f.part - 1 between -coalesce(t.less, 1) and coalesce(t.more, f.part)
      end as is_tolerated,
      -- How much of its tolerance it uses up; what is on the side without a bound uses none.
      case when t.fact in ('duration', 'aspect_ratio', 'resolution') then least(1, coalesce(case
        when f.part < 1 then (1 - f.part) / nullif(t.less, 0)
        when f.part > 1 then (f.part - 1) / nullif(t.more, 0)
      end, 0)) end as used
    from (values
      ('duration', 'duration_milliseconds', to_jsonb(p_duration_milliseconds), p_duration_milliseconds / (v_seconds * 1000)),
      ('aspect_ratio', 'aspect_ratio', to_jsonb(format('%s:%s', p_width, p_height)),
        v_width * v_down / (nullif(p_height, 0) * v_across)),
      -- A wide picture has fewer lines and as many pixels, which makes it no smaller.
      ('resolution', 'resolution', to_jsonb(format('%sp', least(p_width, p_height))),
        greatest(least(v_width, p_height) / v_lines, sqrt(abs(v_width * p_height * 9 / 16)) / v_lines)),
      ('codec', 'codec', to_jsonb(p_codec), null),
      ('frame_rate', 'frames', to_jsonb(p_frames), p_frames * 1000.0 / nullif(p_duration_milliseconds, 0))
    ) as f (fact, name, delivered, part)
    join videos.tolerances as t on t.fact = f.fact
    where case f.fact when 'codec' then p_codec is not null when 'frame_rate' then p_frames is not null
      else f.part is not null end
  ) as m;
  differences := v_found.differences;
  quality := v_found.quality;
end;
$$;
