create function api.load_upload_files(p_upload_id uuid)
returns jsonb
language sql
volatile
security definer
set search_path = ''
as $$
  -- What a `tidy_upload` task removes from storage: `data` is `{ paths }`, nothing under a legal hold.
  select guard.answer(jsonb_build_object('paths', coalesce((
    select to_jsonb(videos.untidy_files(u)) from videos.uploads as u where u.id = p_upload_id and not safety.is_held(u.owner_id)
  ), '[]')))
$$;
grant execute on function api.load_upload_files to service_role;

create function api.record_upload_tidied(p_task_id bigint, p_attempt integer, p_upload_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- What api.load_upload_files named is gone from storage. While more can come, by the upload's URL or by whoever is at it,
-- and while a job needs its copy, the task comes back, as it does under a legal hold; then the row of what nobody needs goes too. `data`: `{ state }`, `waiting` or
-- `tidy`. A second call finds no task. Locks: upload → task.
declare
  v_upload videos.uploads;
  v_now constant timestamptz := core.now();
  v_again_at timestamptz;
begin
  select u.* into v_upload from videos.uploads as u where u.id = p_upload_id for update;
  if safety.is_held(v_upload.owner_id) then
    perform queue.repeat(p_task_id, p_attempt, v_now + interval '1 day', p_error => 'under a legal hold');
    return guard.answer('{"state": "waiting"}');
  end if;
  v_again_at := greatest(
    videos.upload_closes_at(v_upload), videos.copy_needed_until(v_upload) + videos.tidying_delay()
  );
  if v_again_at > v_now then
    perform queue.repeat(p_task_id, p_attempt, v_again_at);
    return guard.answer('{"state": "waiting"}');
  elsif cardinality(videos.untidy_files(v_upload)) > 0 then
    perform queue.retry(p_task_id, p_attempt, 'storage does not remove the files');
    return guard.answer('{"state": "waiting"}');
  end if;
  if not videos.is_shown(v_upload, v_now) then
    delete from videos.uploads as u where u.id = p_upload_id;
  end if;
  perform queue.finish(p_task_id, p_attempt);
  return guard.answer('{"state": "tidy"}');
end;
$$;
grant execute on function api.record_upload_tidied to service_role;
