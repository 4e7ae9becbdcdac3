-- What the operator removes: hidden at once; its file is fingerprinted, then deleted.

create function videos.reportable(p_job_id uuid)
returns videos.jobs
language plpgsql
stable
set search_path = ''
as $$
-- The job of such a video: completed, and not deleted by its user; else null. Of one that was removed there may be more to say.
declare
  v_job videos.jobs;
begin
  select j.* into v_job from videos.jobs as j where j.id = p_job_id and j.status = 'completed' and j.deleted_at is null;
  return v_job;
end;
$$;

create function videos.remove_job(p_job videos.jobs)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Hides a video that the caller has locked with its account: its user sees the job, why it was removed, and no URL. What was to
-- be made from it and is not sent yet ends, and its credits go back. A second call changes nothing. Locks: jobs → lots → tasks.
declare
  v_id uuid;
begin
  if p_job.removed_at is not null then
    return;
  end if;
  update videos.jobs as j
  set removed_at = core.now(), video_url = null, video_url_expires_at = null, thumbnail_url = null
  where j.id = p_job.id;
  for v_id in
    select j.id from videos.jobs as j
    where j.user_id = p_job.user_id and j.status = 'pending' and j.deleted_at is null and j.source_job_id = p_job.id
    order by j.id
    for update
  loop
    perform videos.settle_video_job(
      v_id, 'failed', core.error_code('video/removed'),
      jsonb_build_object('reason', (safety.removal_error(p_job.id)) #> '{details,reason}', 'appeal', 'none')
    );
  end loop;
  if exists (select from videos.assets as a where a.job_id = p_job.id and a.deleted_at is null) then
    perform videos.add_task('fingerprint', p_job, core.now());
  end if;
end;
$$;

create function videos.restore_job(p_job videos.jobs)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Shows a removed video again, that the caller has locked: whether its file is there still, and no worker may have begun to
-- delete it. Locks: tasks.
begin
  if not exists (
    select from videos.assets as a where a.job_id = p_job.id and a.kind = 'video' and a.deleted_at is null
  ) or queue.has_begun('delete_files', p_job.id) then
    return false;
  end if;
  perform queue.drop(p_job.id, case
    when p_job.deleted_at is null then '{fingerprint,delete_files}' else '{fingerprint}' end::text[]);
  if p_job.deleted_at is not null then
    -- Its user deleted it while it was removed: the fingerprint would have made this.
    perform videos.add_task('delete_files', p_job, core.now());
  end if;
  update videos.jobs as j set removed_at = null where j.id = p_job.id;
  return true;
end;
$$;

create function videos.complete_stored(p_job videos.jobs, p_assets jsonb, p_urls jsonb, p_quality smallint)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Writes the assets of a job that the caller has locked, captures the hold and completes the job. p_assets and p_urls are as
-- in api.record_stored, p_quality as in videos.judge. Locks: lots → task.
begin
  insert into videos.assets (
    job_id, owner_id, kind, path, bytes, content_type, duration_milliseconds, width, height, quality, created_at
  )
  select p_job.id, p_job.user_id, a.kind, a.path, a.bytes, a.content_type, a.duration_milliseconds, a.width, a.height,
    case a.kind when 'video' then p_quality end, core.now()
  from jsonb_to_recordset(p_assets) as a (
    kind videos.asset_kind, path text, bytes bigint, content_type text,
    duration_milliseconds integer, width integer, height integer
  );
  perform videos.settle_locked_job(p_job, 'completed', p_urls => p_urls);
end;
$$;

create function videos.apply_fingerprint(p_job videos.jobs, p_payload jsonb, p_sha256 text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- What the bytes of a video mean, for a job that the caller has locked. Of one that is removed they are remembered, and its
-- files deleted. One that was just stored is completed, or, where those very bytes were removed before, fails, and the
-- credits go back. Of a job that ended meanwhile, what is in storage is deleted. Locks: lots → tasks.
declare
  v_ground safety.ground;
begin
  if p_job.removed_at is not null then
    if p_sha256 is not null then
      perform safety.remember_file(p_job.id, p_sha256, a.bytes, a.duration_milliseconds)
      from videos.assets as a
      where a.job_id = p_job.id and a.kind = 'video';
    end if;
    perform videos.add_task('delete_files', p_job, core.now());
  elsif p_job.completed_at is null then
    v_ground := safety.ground_of_file(p_sha256);
    if v_ground is null then
      perform videos.complete_stored(
        p_job, p_payload -> 'assets', p_payload -> 'urls', (p_payload -> 'quality')::smallint
      );
    else
      perform videos.settle_locked_job(
        p_job, 'failed', core.error_code('video/removed'), jsonb_build_object('reason', v_ground, 'appeal', 'none')
      );
    end if;
  elsif p_job.status <> 'completed' then
    perform videos.add_task('delete_files', p_job, core.now());
  end if;
end;
$$;

-- What a `fingerprint` task that has no try left means. What is removed goes, known or not; nothing is completed unseen.
create function videos.give_up_fingerprint(p_job_id uuid, p_cause text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_job constant videos.jobs := videos.lock_job(p_job_id);
begin
  if v_job.removed_at is null then
    perform videos.fail_unstored_job(p_job_id, p_cause);
    return;
  end if;
  perform videos.add_task('delete_files', v_job, core.now());
  perform ops.raise_alert('fingerprint', p_job_id::text, '{"lost": "the same bytes will not be known again"}');
end;
$$;

create function videos.deletion_facts(p_job_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- What the handler of `delete_files` needs: videos.task_facts, and `is_held` where a legal hold keeps the files.
begin
  return videos.task_facts(p_job_id) || (
    select jsonb_build_object('is_held', safety.is_held(j.user_id)) from videos.jobs as j where j.id = p_job_id
  );
end;
$$;
