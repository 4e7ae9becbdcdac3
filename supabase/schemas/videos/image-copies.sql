-- Copies of what an `image_url` leads to. A worker fetches it once, before anybody judges it; what is judged and what a provider
-- gets is the copy, an upload of its job's. It is in no list and in no quota, and goes when its job has ended.

-- How long a picture whose host does not answer is asked for: about as long as its user looks at the screen.
create function videos.image_patience()
returns interval
language sql
immutable
return interval '2 minutes';

create function videos.begin_copy(p_job videos.jobs, p_now timestamptz)
returns videos.uploads
language plpgsql
volatile
set search_path = ''
as $$
-- Makes the upload that the copy of a job's picture is to be, and the task that tidies up after it. The job names it from now on.
-- The caller has locked the job. Locks: task.
declare
  v_id constant uuid := core.new_id();
  v_upload videos.uploads;
begin
  insert into videos.uploads (id, owner_id, folder, created_at, expires_at, job_id)
  values (
    v_id, p_job.user_id,
    (select u.reference || '/' || v_id from accounts.users as u where u.id = p_job.user_id),
    -- Nobody begins to fetch it after the bound.
    p_now, p_job.due_at, p_job.id
  )
  returning * into v_upload;
  update videos.jobs as j set image_upload_id = v_id where j.id = p_job.id;
  perform queue.add('tidy_upload', v_id, p_job.user_id, videos.upload_closes_at(v_upload), p_request_id => p_job.request_id);
  return v_upload;
end;
$$;

-- What a worker does to a job's picture before the job is claimed: signs a URL of the copy that lives until the job must have
-- started, `{ image_path, image_seconds }`; or fetches it, `{ image_url, image_folder, image_upload_id }`.
create function videos.image_to_do(p_job videos.jobs, p_upload videos.uploads, p_now timestamptz)
returns jsonb
language sql
immutable
return case
  when (p_upload).status = 'ready' then jsonb_build_object(
    'image_path', (p_upload).path, 'image_seconds', greatest(60, ceil(extract(epoch from (p_job).due_at - p_now)))
  )
  else jsonb_build_object(
    'image_url', (p_job).image_url, 'image_folder', (p_upload).folder, 'image_upload_id', (p_upload).id
  )
end;

create function videos.ask_for_image(p_job videos.jobs, p_now timestamptz)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- What videos.image_to_do says of a job that is made from a picture. The caller has locked the job. Locks: task.
declare
  v_upload videos.uploads;
begin
  if p_job.image_upload_id is null then
    v_upload := videos.begin_copy(p_job, p_now);
  else
    select u.* into v_upload from videos.uploads as u where u.id = p_job.image_upload_id;
  end if;
  return videos.image_to_do(p_job, v_upload, p_now);
end;
$$;
