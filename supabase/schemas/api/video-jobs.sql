create function api.video_jobs(
  p_user_id uuid, p_limit integer, p_status text default null, p_after jsonb default null,
  p_client_reference text default null, p_session_id uuid default null, p_project_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
-- A plan for this page's length is no better, and costs twice as much as reading the page.
set plan_cache_mode = force_generic_plan
as $$
-- A page of the caller's jobs, or of those with one status, reference or project, without the deleted ones: `data` is
-- `{ videos, next }`, videos being `{ job, paths }` as in api.video_status. resource/not-found for a project that is not
-- there or is another's. Counts against `reads`, and each URL that is to
-- be renewed against `signed_urls`. Locks: rate-limit rows.
declare
  v_caller record;
  v_statuses constant videos.job_status[] := case
    when p_status is null then enum_range(null::videos.job_status) else array[p_status::videos.job_status]
  end;
  v_before constant timestamptz := coalesce((p_after ->> 'created_at')::timestamptz, 'infinity');
  v_before_id constant uuid := coalesce((p_after ->> 'id')::uuid, '00000000-0000-0000-0000-000000000000');
  v_videos jsonb;
  v_next jsonb;
begin
  v_caller := guard.enter(p_user_id, 'video-jobs', '{reads}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  if p_project_id is not null and not videos.has_project(p_user_id, p_project_id) then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;

  select coalesce(jsonb_agg(p.video order by p.place) filter (where p.place <= p_limit), '[]'),
    case when count(*) > p_limit then jsonb_agg(p.position order by p.place) -> p_limit - 1 end
  into v_videos, v_next
  from (
    select row_number() over (order by (f.job).created_at desc, (f.job).id desc) as place,
      jsonb_build_object('created_at', (f.job).created_at, 'id', (f.job).id) as position,
      jsonb_build_object('job', videos.job_json(f.job), 'paths', (
        select coalesce(jsonb_object_agg(a.kind, a.path), '{}') from videos.assets as a
        where a.job_id = (f.job).id and (f.job).removed_at is null
      )) as video
    from unnest(v_statuses) as s (status)
    -- A page of each status, from its own part of the index, so that a page costs the same in any history. One more
    -- than the page tells whether there is another.
    cross join lateral (
      select c.job
      from (
        (
          select j as job
          from videos.jobs as j
          where p_client_reference is null and p_project_id is null
            and j.user_id = p_user_id and j.status = s.status and j.deleted_at is null
            and (j.created_at, j.id) < (v_before, v_before_id)
          order by j.created_at desc, j.id desc
          limit p_limit + 1
        )
        union all
        -- Apart, by an index of its own: a reference has few jobs, and a history many. Without one it finds none.
        (
          select j as job
          from videos.jobs as j
          where j.client_reference = p_client_reference and (p_project_id is null or j.project_id = p_project_id)
            and j.user_id = p_user_id and j.status = s.status and j.deleted_at is null
            and (j.created_at, j.id) < (v_before, v_before_id)
          order by j.created_at desc, j.id desc
          limit p_limit + 1
        )
        union all
        -- And of a project, whose part of another index pages it as fast as the whole.
        (
          select j as job
          from videos.jobs as j
          where p_client_reference is null
            and j.project_id = p_project_id and j.user_id = p_user_id and j.status = s.status and j.deleted_at is null
            and (j.created_at, j.id) < (v_before, v_before_id)
          order by j.created_at desc, j.id desc
          limit p_limit + 1
        )
      ) as c
    ) as f
    order by place
    limit p_limit + 1
  ) as p;
  return guard.answer(
    jsonb_build_object('videos', videos.admit_renewals(p_user_id, v_videos), 'next', v_next), v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.video_jobs to service_role;
