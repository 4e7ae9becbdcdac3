-- How often a user's URLs are signed anew: what is watched a thousand times costs a thousand times its traffic.

create function videos.admit_renewals(p_user_id uuid, p_videos jsonb)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Videos, `{ job, paths }` each, as they may be shown. One whose URL has less than 10 minutes left is signed anew by the
-- caller, which counts against `signed_urls`; above that it has no URL, no paths, and `retry_after` says in how many seconds
-- it may have one. Those that come first are counted first. The operator is told of whoever meets the limit.
-- Locks: rate-limit row → alert.
declare
  v_videos jsonb := p_videos;
  v_soon constant timestamptz := core.now() + interval '10 minutes';
  v_refusal jsonb;
  v_place integer;
begin
  -- Most that are asked about are still being made.
  if not jsonb_path_exists(p_videos, '$[*].paths.video') then
    return p_videos;
  end if;
  for v_place in
    select (v.place - 1)::integer
    from jsonb_array_elements(p_videos) with ordinality as v (video, place)
    where v.video -> 'paths' ? 'video' and (
      v.video -> 'job' ->> 'video_url_expires_at' is null
      or (v.video -> 'job' ->> 'video_url_expires_at')::timestamptz < v_soon
    )
    order by v.place
  loop
    if v_refusal is null then
      v_refusal := (guard.take('{signed_urls}', p_user_id, null, 'video-url')).refusal;
    end if;
    if v_refusal is not null then
      v_videos := jsonb_set(v_videos, array[v_place::text], (v_videos -> v_place) || jsonb_build_object(
        'paths', '{}'::jsonb,
        'job', (v_videos -> v_place -> 'job') || jsonb_build_object(
          'video_url', null, 'thumbnail_url', null, 'video_url_expires_at', null,
          -- The operator may have it fail closed, which is over by itself.
          'retry_after', coalesce((v_refusal -> 'details' ->> 'retry_after')::integer, 60)
        )
      ));
    end if;
  end loop;
  if v_refusal is not null then
    perform ops.raise_alert('egress', u.reference::text, jsonb_build_object(
      'policy', 'signed_urls',
      'renewals', v_refusal -> 'limits' -> 0 -> 'current',
      -- What all their videos are once: each URL lets anybody load its file for an hour, as often as they like.
      'bytes', (
        select sum(a.bytes) from videos.jobs as j
        join videos.assets as a on a.job_id = j.id and a.deleted_at is null
        where j.user_id = p_user_id and j.deleted_at is null
      )
    ))
    from accounts.users as u
    where u.id = p_user_id;
  end if;
  return v_videos;
end;
$$;
