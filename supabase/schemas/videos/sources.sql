-- What else a video is made from: another one of the same user's, and the pictures of a model's own inputs.

create function videos.refuse_sources(p_user_id uuid, p_source_job_id uuid, p_inputs jsonb, p_settings jsonb)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
-- Why a video cannot be made from these; null where it can. resource/not-found for what is another's, deleted or nowhere,
-- resource/wrong-state with its `status` for what is not ready. The caller has locked the account, so that nobody deletes
-- them meanwhile.
declare
  v_status text;
  v_upload_id uuid;
begin
  if p_source_job_id is not null then
    -- What the operator removed is shown to nobody, and nothing is made from it.
    select case when j.removed_at is null then j.status::text else 'removed' end into v_status
    from videos.jobs as j
    where j.id = p_source_job_id and j.user_id = p_user_id and j.deleted_at is null;
    if v_status is null then
      return guard.refusal('resource/not-found');
    elsif v_status <> 'completed' then
      return guard.refusal('resource/wrong-state', jsonb_build_object('status', v_status));
    elsif videos.stored_path(p_source_job_id) is null then
      return guard.refusal('resource/not-found');
    end if;
  end if;
  for v_upload_id in select p.id from videos.pictures_in(p_inputs, p_settings) as p (id) loop
    v_status := (videos.find_upload(p_user_id, v_upload_id, core.now())).status;
    if v_status is null then
      return guard.refusal('resource/not-found');
    elsif v_status <> 'ready' then
      return guard.refusal('resource/wrong-state', jsonb_build_object('status', v_status));
    end if;
  end loop;
  return null;
end;
$$;

-- Where the video of a job is in storage; null where it is not.
create function videos.stored_path(p_job_id uuid)
returns text
language sql
stable
set search_path = ''
as $$
  select a.path from videos.assets as a where a.job_id = p_job_id and a.kind = 'video' and a.deleted_at is null
$$;

create function videos.is_source(p_user_id uuid, p_job_id uuid)
returns boolean
language sql
stable
set search_path = ''
as $$
  -- Whether a running job of that user is made from this one. No running job is deleted, which is said for the index.
  select exists (
    select from videos.jobs as j
    where j.user_id = p_user_id and j.status in ('pending', 'processing') and j.deleted_at is null
      and j.source_job_id = p_job_id
  )
$$;

create function videos.files_for(p_job videos.jobs, p_now timestamptz)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
-- The files that a job is made from beside its picture, `{ source_path, picture_paths, files_seconds }`: the video in the bucket
-- of videos, pictures in that of uploads by the ids that stand among the settings, and how long a URL of them has to live. Null
-- for a job that needs none.
declare
  v_pictures jsonb;
begin
  if videos.inputs_in(p_job.settings) <> '{}' then
    select jsonb_object_agg(u.id, u.path) into v_pictures
    from videos.models as m
    cross join lateral videos.pictures_in(m.inputs, p_job.settings) as p (id)
    join videos.uploads as u on u.id = p.id
    where m.id = p_job.model_id;
  end if;
  if p_job.source_job_id is null and v_pictures is null then
    return null;
  end if;
  return jsonb_strip_nulls(jsonb_build_object(
    -- What was removed after the job was accepted is there still for a while, and under a legal hold for long.
    'source_path', (
      select videos.stored_path(j.id) from videos.jobs as j where j.id = p_job.source_job_id and j.removed_at is null
    ),
    'picture_paths', v_pictures,
    -- It starts by then, or never.
    'files_seconds', greatest(60, ceil(extract(epoch from p_job.due_at - p_now)))
  ));
end;
$$;
