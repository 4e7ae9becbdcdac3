create function api.get_uploads(
  p_user_id uuid, p_limit integer, p_after jsonb default null, p_session_id uuid default null,
  p_project_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- A page of the caller's uploads, or of those of one project, newest first, those that were begun and are not over among them:
-- `data` is `{ uploads, next }`. resource/not-found for a project that is not there or is another's. Counts against `reads`. Locks: rate-limit row.
declare
  v_caller record;
  v_now constant timestamptz := core.now();
  v_before constant timestamptz := coalesce((p_after ->> 'created_at')::timestamptz, 'infinity');
  v_before_id constant uuid := coalesce((p_after ->> 'id')::uuid, '00000000-0000-0000-0000-000000000000');
  v_uploads jsonb;
  v_next jsonb;
begin
  v_caller := guard.enter(p_user_id, 'uploads', '{reads}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  if p_project_id is not null and not videos.has_project(p_user_id, p_project_id) then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;

  select coalesce(jsonb_agg(videos.upload_json(p.upload) order by p.place) filter (where p.place <= p_limit), '[]'),
    case when count(*) > p_limit then jsonb_agg(jsonb_build_object(
      'created_at', (p.upload).created_at, 'id', (p.upload).id
    ) order by p.place) -> p_limit - 1 end
  into v_uploads, v_next
  from (
    select c.upload, row_number() over (order by (c.upload).created_at desc, (c.upload).id desc) as place
    from (
      (
        select u as upload from videos.uploads as u
        where p_project_id is null
          and u.owner_id = p_user_id and (u.created_at, u.id) < (v_before, v_before_id) and videos.is_shown(u, v_now)
        order by u.created_at desc, u.id desc
        limit p_limit + 1
      )
      union all
      -- Apart, by an index of its own.
      (
        select u as upload from videos.uploads as u
        where u.project_id = p_project_id
          and u.owner_id = p_user_id and (u.created_at, u.id) < (v_before, v_before_id) and videos.is_shown(u, v_now)
        order by u.created_at desc, u.id desc
        limit p_limit + 1
      )
    ) as c
    order by place
    limit p_limit + 1
  ) as p;
  return guard.answer(
    jsonb_build_object('uploads', v_uploads, 'next', v_next), v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.get_uploads to service_role;

create function api.post_uploads(
  p_user_id uuid, p_content_type text, p_bytes bigint, p_session_id uuid default null, p_project_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Begins an upload of so many bytes: `data` is `{ upload_id, folder, expires_at }`. A second call begins another.
-- resource/not-found for a project that is not theirs; resource/wrong-state where the caller has as many pending ones as their
-- tier may; upload/quota-exceeded where there is no room for it. Counts against `writes`. Locks: rate-limit row → account → task.
declare
  v_caller record;
  v_begun record;
begin
  v_caller := guard.enter(p_user_id, 'uploads', '{writes}', null, p_locks => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_begun := videos.begin_upload(p_user_id, p_content_type, p_bytes, p_project_id);
  if v_begun.refusal is not null then
    return guard.in_language(v_begun.refusal || jsonb_build_object('limits', v_caller.limits), v_caller.language);
  end if;
  return guard.answer(
    jsonb_build_object(
      'upload_id', (v_begun.upload).id, 'folder', (v_begun.upload).folder,
      'expires_at', core.to_iso((v_begun.upload).expires_at)
    ),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.post_uploads to service_role;

create function api.load_upload(p_user_id uuid, p_upload_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- What is to be looked at, before an upload of the caller's is completed: `data` is `{ folder, content_type, bytes, upload }`,
-- `upload` being null until it is ready, when nothing is left to do. resource/not-found for one that is deleted, was given
-- up, or is another's. Counts against `writes`. Locks: rate-limit row.
declare
  v_caller record;
  v_upload videos.uploads;
begin
  v_caller := guard.enter(p_user_id, 'uploads', '{writes}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_upload := videos.find_upload(p_user_id, p_upload_id, core.now());
  if v_upload.id is null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  return guard.answer(
    jsonb_build_object(
      'folder', v_upload.folder, 'content_type', v_upload.content_type, 'bytes', v_upload.bytes,
      'upload', case when v_upload.status = 'ready' then videos.upload_json(v_upload) end
    ),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.load_upload to service_role;

create function api.patch_uploads(
  p_user_id uuid, p_upload_id uuid, p_path text, p_content_type text, p_bytes bigint, p_width integer, p_height integer
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The cleaned copy of an upload that api.load_upload told of is in storage: the upload is ready. `data` is the upload; of
-- several copies the first one counts, and a second call changes nothing. resource/not-found where it was deleted
-- meanwhile. Locks: account → upload.
declare
  v_caller record;
  v_now timestamptz;
  v_upload videos.uploads;
begin
  v_caller := accounts.lock(p_user_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_now := core.now();
  update videos.uploads as u
  set status = 'ready', path = p_path, content_type = p_content_type, bytes = p_bytes, width = p_width, height = p_height
  where u.id = p_upload_id and u.owner_id = p_user_id and u.status = 'pending' and videos.is_shown(u, v_now);
  v_upload := videos.find_upload(p_user_id, p_upload_id, v_now);
  if v_upload.id is null then
    return guard.refusal('resource/not-found', p_language => v_caller.language);
  end if;
  return guard.answer(videos.upload_json(v_upload) || jsonb_build_object('is_first', v_upload.path = p_path));
end;
$$;
grant execute on function api.patch_uploads to service_role;

create function api.delete_uploads(p_user_id uuid, p_upload_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Hides an upload of the caller's for good, and has its files removed. `data`: `{ deleted_at }`. resource/not-found for one
-- that is deleted already, was given up, or is another's; resource/wrong-state while a running job is made from it. Counts
-- against `writes`. Locks: rate-limit row → account → upload → task.
declare
  v_caller record;
  v_now timestamptz;
begin
  v_caller := guard.enter(p_user_id, 'uploads', '{writes}', null, p_locks => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_now := core.now();
  if (videos.find_upload(p_user_id, p_upload_id, v_now)).id is null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  if videos.uses_upload(p_user_id, p_upload_id) then
    return guard.refusal('resource/wrong-state', '{"status": "in_use"}', v_caller.limits, v_caller.language);
  end if;
  update videos.uploads as u set deleted_at = v_now where u.id = p_upload_id;
  perform queue.add('tidy_upload', p_upload_id, p_user_id, v_now);
  return guard.answer(jsonb_build_object('deleted_at', core.to_iso(v_now)), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.delete_uploads to service_role;
