create function api.get_projects(p_user_id uuid, p_limit integer, p_after jsonb default null, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- A page of the caller's projects, newest first: `data` is `{ projects, next }`, projects being `{ project_id, name, job_count,
-- created_at }`. Counts against `reads`. Locks: rate-limit row.
declare
  v_caller record;
  v_before constant timestamptz := coalesce((p_after ->> 'created_at')::timestamptz, 'infinity');
  v_before_id constant uuid := coalesce((p_after ->> 'id')::uuid, '00000000-0000-0000-0000-000000000000');
  v_projects jsonb;
  v_next jsonb;
begin
  v_caller := guard.enter(p_user_id, 'projects', '{reads}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  select coalesce(jsonb_agg(p.project order by p.place) filter (where p.place <= p_limit), '[]'),
    case when count(*) > p_limit then jsonb_agg(p.position order by p.place) -> p_limit - 1 end
  into v_projects, v_next
  from (
    select row_number() over (order by t.created_at desc, t.id desc) as place,
      jsonb_build_object('created_at', t.created_at, 'id', t.id) as position, videos.project_json(t) as project
    from videos.projects as t
    where t.user_id = p_user_id and (t.created_at, t.id) < (v_before, v_before_id)
    order by t.created_at desc, t.id desc
    limit p_limit + 1
  ) as p;
  return guard.answer(jsonb_build_object('projects', v_projects, 'next', v_next), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.get_projects to service_role;

create function api.post_projects(p_user_id uuid, p_name text, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Makes a project of the caller's: `data` is it, as in api.get_projects. A second call makes another. Counts against
-- `writes`. Locks: rate-limit row → account, so that none is made for an account that is being erased.
declare
  v_caller record;
  v_project videos.projects;
begin
  v_caller := guard.enter(p_user_id, 'projects', '{writes}', null, p_locks => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  insert into videos.projects (user_id, name, created_at) values (p_user_id, p_name, core.now()) returning * into v_project;
  return guard.answer(videos.project_json(v_project), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.post_projects to service_role;

create function api.patch_projects(p_user_id uuid, p_project_id uuid, p_name text, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Gives a project of the caller's another name: `data` is it, as in api.get_projects. resource/not-found for one that is not
-- there or is another's. A second call changes nothing more. Counts against `writes`. Locks: rate-limit row → project.
declare
  v_caller record;
  v_project videos.projects;
begin
  v_caller := guard.enter(p_user_id, 'projects', '{writes}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  update videos.projects as p set name = p_name where p.id = p_project_id and p.user_id = p_user_id returning * into v_project;
  if not found then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  return guard.answer(videos.project_json(v_project), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.patch_projects to service_role;

create function api.delete_projects(p_user_id uuid, p_project_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Deletes a project of the caller's and none of its jobs, which then are in none: `data` is `{ project_id }`.
-- resource/not-found for one that is not there, as in a second call, or is another's. It takes as long for 100,000 jobs as
-- for one. Counts against `writes`. Locks: rate-limit row → account, whose lock whoever adds a job has → project.
declare
  v_caller record;
begin
  v_caller := guard.enter(p_user_id, 'projects', '{writes}', null, p_locks => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  delete from videos.projects as p where p.id = p_project_id and p.user_id = p_user_id;
  if not found then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  return guard.answer(jsonb_build_object('project_id', p_project_id), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.delete_projects to service_role;
