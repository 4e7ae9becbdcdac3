create function videos.export_page(p_user_ids uuid[], p_after uuid, p_limit integer)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- The next videos of these users that are in storage, by their jobs' ids, for whoever takes them along: `{ text, next }` as
  -- accounts.export_page says it.
  select jsonb_build_object(
    'text', coalesce(string_agg(p.line::text, e',\n' order by p.id), ''),
    'next', case when count(*) = p_limit then jsonb_build_array((array_agg(p.id order by p.id desc))[1]) end
  )
  from (
    select j.id, jsonb_build_object(
      'job_id', j.id, 'prompt', j.prompt, 'model_name', j.model_name, 'created_at', core.to_iso(j.created_at),
      'completed_at', core.to_iso(j.completed_at), 'content_type', a.content_type, 'bytes', a.bytes,
      'duration_milliseconds', a.duration_milliseconds, 'width', a.width, 'height', a.height
    ) as line
    from videos.jobs as j
    join videos.assets as a on a.job_id = j.id and a.kind = 'video' and a.deleted_at is null
    where j.user_id = any (p_user_ids) and j.deleted_at is null and j.removed_at is null and (p_after is null or j.id > p_after)
    order by j.id
    limit p_limit
  ) as p
$$;
