create function api.load_erasure(p_user_id uuid)
returns jsonb
language sql
volatile
security definer
set search_path = ''
as $$
  -- What an `erase_account` task removes from storage: `data` is `{ paths, uploads }`, of the buckets `videos` and `uploads`,
  -- of each as many as storage removes within the timeout of a request, and nothing under a legal hold.
  select guard.answer(jsonb_build_object(
    'paths', array(select p.path from videos.files_of(p_user_id, 'videos') as p (path)
      where not safety.is_held(p_user_id) limit 100),
    'uploads', array(select p.path from videos.files_of(p_user_id, 'uploads') as p (path)
      where not safety.is_held(p_user_id) limit 100)
  ))
$$;
grant execute on function api.load_erasure to service_role;

create function api.erase_account(p_task_id bigint, p_attempt integer, p_user_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Erases what a closed account left, as accounts.erase does, once its files are gone from storage, and writes the
-- proof. Under a legal hold, while a job of it runs or a file is there, the task comes back; that costs a try only where not one file was
-- removed since the last time. `data`: `{ state: "erased" | "waiting" | "dead" | "lost" }`. A second call finds no
-- task. Raises no_data_found for an account that is open. Locks: account → task → jobs.
declare
  v_task queue.tasks;
  v_user accounts.users;
  v_erasable_at timestamptz;
  v_now timestamptz;
  v_files bigint;
begin
  perform credits.lock_account(p_user_id);
  select t.* into v_task
  from queue.tasks as t
  where t.id = p_task_id and t.attempts = p_attempt and t.failed_at is null
  for update;
  if not found then
    return guard.answer('{"state": "lost"}');
  end if;
  select u.* into strict v_user from accounts.users as u where u.id = p_user_id and u.closed_at is not null;
  if safety.is_held(p_user_id) then
    perform queue.repeat(p_task_id, p_attempt, core.now() + interval '1 day', p_error => 'under a legal hold');
    return guard.answer('{"state": "waiting"}');
  end if;
  v_erasable_at := videos.erasable_at(p_user_id);
  v_now := core.now();
  if v_erasable_at > v_now then
    perform queue.repeat(p_task_id, p_attempt, v_erasable_at);
    return guard.answer('{"state": "waiting"}');
  end if;
  select count(*) into v_files
  from (select videos.files_of(p_user_id, 'videos') union all select videos.files_of(p_user_id, 'uploads')) as f;
  if v_files >= (v_task.payload ->> 'files')::bigint then
    return guard.answer(jsonb_build_object(
      'state', queue.retry(p_task_id, p_attempt, 'storage does not remove the files')
    ));
  elsif v_files > 0 then
    perform queue.repeat(p_task_id, p_attempt, v_now, jsonb_build_object('files', v_files));
    return guard.answer('{"state": "waiting"}');
  end if;

  -- First the jobs, as whoever has one does, then what belongs to them: the rule `deleted_jobs` may be at one of them.
  perform from videos.jobs as j
  where j.id in (select videos.jobs_of(accounts.with_guests(p_user_id)))
  order by j.id
  for update;
  -- What is marked as deleted is shown to nobody and swept with the account.
  update videos.jobs as j set deleted_at = v_now where j.user_id = p_user_id and j.deleted_at is null;
  insert into accounts.erasures (user_id, closed_at, erased_at, erased)
  values (p_user_id, v_user.closed_at, v_now, accounts.erase(p_user_id))
  on conflict (user_id) do nothing;
  perform queue.finish(p_task_id, p_attempt);
  return guard.answer('{"state": "erased"}');
end;
$$;
grant execute on function api.erase_account to service_role;
