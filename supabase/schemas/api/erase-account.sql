create function api.load_erasure(p_user_id uuid)
returns jsonb
language sql
volatile
security definer
set search_path = ''
as $$
  -- What an `erase_account` task removes from storage: `data` is `{ paths }`, as many as storage removes within the timeout
  -- of a request.
  select guard.answer(jsonb_build_object('paths', coalesce(jsonb_agg(f.path), '[]')))
  from (select p.path from videos.files_of(p_user_id) as p (path) limit 100) as f
$$;
grant execute on function api.load_erasure to service_role;

create function api.erase_account(p_task_id bigint, p_attempt integer, p_user_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Erases what a closed account left, once its files are gone from storage, and writes the proof. While a job of it runs
-- or a file is there, the task comes back; that costs a try only where not one file was removed since the last time.
-- `data`: `{ state: "erased" | "waiting" | "dead" | "lost" }`. A second call finds no task. Raises no_data_found for an
-- account that is open. Locks: account → task → jobs.
declare
  v_task queue.tasks;
  v_user accounts.users;
  v_erasable_at timestamptz;
  v_now timestamptz;
  v_files bigint;
  v_job_ids uuid[];
  v_erased jsonb;
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
  v_erasable_at := videos.erasable_at(p_user_id);
  v_now := core.now();
  if v_erasable_at > v_now then
    perform queue.repeat(p_task_id, p_attempt, v_erasable_at);
    return guard.answer('{"state": "waiting"}');
  end if;
  select count(*) into v_files from videos.files_of(p_user_id);
  if v_files >= (v_task.payload ->> 'files')::bigint then
    return guard.answer(jsonb_build_object(
      'state', queue.retry(p_task_id, p_attempt, 'storage does not remove the files')
    ));
  elsif v_files > 0 then
    perform queue.repeat(p_task_id, p_attempt, v_now, jsonb_build_object('files', v_files));
    return guard.answer('{"state": "waiting"}');
  end if;

  select coalesce(array_agg(j.id), '{}') into v_job_ids
  from (
    select a.id from videos.jobs as a where a.user_id = p_user_id and a.deleted_at is null
    union all
    select d.id from videos.jobs as d where d.user_id = p_user_id and d.deleted_at is not null
  ) as j;
  v_erased := jsonb_build_object(
    'jobs', cardinality(v_job_ids),
    'files', (select count(*) from videos.assets as a where a.job_id = any (v_job_ids) and a.deleted_at is null),
    'idempotency_keys', (select count(*) from guard.idempotency_keys as k where k.caller = p_user_id),
    'device_grants', (select count(*) from devices.grants as g where g.user_id = p_user_id),
    'auth_users', (select count(*) from auth.users as u where u.id = p_user_id)
  );
  perform videos.blank_jobs(v_job_ids);
  update videos.jobs as j set deleted_at = v_now where j.id = any (v_job_ids) and j.deleted_at is null;
  -- Removing files is all that is left to do for these, and it is done.
  perform queue.drop(j.id, '{delete_files}') from unnest(v_job_ids) as j (id);
  delete from guard.idempotency_keys as k where k.caller = p_user_id;
  delete from devices.grants as g where g.user_id = p_user_id;
  delete from guard.hits as h
  using guard.policies as p
  where p.scope = 'user' and h.is_logged = p.is_logged and h.policy = p.name and h.subject = p_user_id::text;
  -- With it go its identities, factors and sessions.
  delete from auth.users as u where u.id = p_user_id;
  insert into accounts.erasures (user_id, closed_at, erased_at, erased)
  values (p_user_id, v_user.closed_at, v_now, v_erased)
  on conflict (user_id) do nothing;
  perform queue.finish(p_task_id, p_attempt);
  return guard.answer('{"state": "erased"}');
end;
$$;
grant execute on function api.erase_account to service_role;
