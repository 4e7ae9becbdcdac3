create function notify.preferences_json(p_preferences jsonb)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- What a user wants to hear, of all that may be chosen: `{ "<type>": { "<channel>": true } }`. What they did not choose is
  -- on.
  select jsonb_object_agg(t.type, (
    select jsonb_object_agg(c.channel, coalesce((p_preferences -> t.type ->> c.channel)::boolean, true))
    from unnest(t.channels) as c (channel)
  ))
  from unnest(events.types()) as t
  where t.channels <> '{}'
$$;

create function notify.with_changes(p_preferences jsonb, p_changes jsonb)
returns jsonb
language sql
immutable
set search_path = ''
as $$
  -- Preferences with changes of the same form, which name what they change and nothing else.
  select coalesce(
    p_preferences || jsonb_object_agg(c.type, coalesce(p_preferences -> c.type, '{}') || c.channels)
      filter (where jsonb_typeof(c.channels) = 'object'),
    p_preferences
  )
  from jsonb_each(case jsonb_typeof(p_changes) when 'object' then p_changes else '{}' end) as c (type, channels)
$$;
