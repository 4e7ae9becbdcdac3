-- What the handlers of the domain `accounts` call, in _shared/accounts/tasks.ts, beside erase-account.sql.

create function api.keep_apple_token(p_task_id bigint, p_attempt integer, p_refresh_token text)
returns jsonb
language sql
volatile
security definer
set search_path = ''
as $$
  -- Of a `revoke_apple_sign_in` task: the code is spent, and from now on the task holds what Apple gave for it. `data` is
  -- `{ kept }`, false for an attempt that has lost its task. A second call keeps the same. Locks: task.
  select guard.answer(jsonb_build_object(
    'kept', queue.keep(p_task_id, p_attempt, jsonb_build_object('refresh_token', p_refresh_token))
  ))
$$;
grant execute on function api.keep_apple_token to service_role;

create function api.finish_apple_revocation(
  p_task_id bigint, p_attempt integer, p_user_id uuid, p_failure text default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Ends a `revoke_apple_sign_in` task: Apple has revoked, or never will, which p_failure tells the operator. `data` is
-- `{ finished }`, false for an attempt that has lost its task and failed, which then tells nobody. That Apple has revoked
-- holds whoever has the task by now: the next attempt found the code spent, and what it told the operator is withdrawn. A
-- second call does the same. Locks: task → alert.
declare
  v_finished boolean;
begin
  if p_failure is null then
    perform accounts.note_revoked(p_user_id);
    return guard.answer(jsonb_build_object('finished', true));
  end if;
  v_finished := queue.finish(p_task_id, p_attempt);
  if v_finished then
    perform accounts.note_unrevoked(p_user_id, p_failure);
  end if;
  return guard.answer(jsonb_build_object('finished', v_finished));
end;
$$;
grant execute on function api.finish_apple_revocation to service_role;

create function api.load_export(p_export_id uuid)
returns jsonb
language sql
volatile
security definer
set search_path = ''
as $$
  -- What an `export_account` or a `delete_export` task is about: `data` is `{ user_id, path, tables }`, the tables null where
  -- nothing is to be made, since it is made, or nobody is there for it. `data` is null for one that is not there.
  select guard.answer((
    select jsonb_build_object(
      'user_id', e.user_id, 'path', accounts.export_path(e),
      'tables', case
        when e.made_at is null and e.failed_at is null and not accounts.is_out(u)
          then (select jsonb_agg(t.relation) from accounts.exported_tables() as t (relation))
      end
    )
    from accounts.exports as e join accounts.users as u on u.id = e.user_id
    where e.id = p_export_id
  ))
$$;
grant execute on function api.load_export to service_role;

create function api.load_export_page(p_export_id uuid, p_table text, p_after jsonb default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The next rows for an export, of one of its tables or of `videos`, which is the list of the user's files: `data` is
-- `{ text, next }`, as accounts.export_page says it. Raises no_data_found for an export that is not there, and for a table that has no rows
-- of persons. Takes no lock.
declare
  -- A row is some hundred bytes, and 20 kB at most: pages of 10 MB at the worst.
  v_limit constant integer := 500;
  v_user_id uuid;
begin
  select e.user_id into strict v_user_id from accounts.exports as e where e.id = p_export_id;
  return guard.answer(case
    when p_table = 'videos' then videos.export_page(accounts.with_guests(v_user_id), (p_after ->> 0)::uuid, v_limit)
    else accounts.export_page(v_user_id, p_table, p_after, v_limit)
  end);
end;
$$;
grant execute on function api.load_export_page to service_role;

create function api.finish_export(p_task_id bigint, p_attempt integer, p_export_id uuid, p_bytes bigint default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Ends an `export_account` task: the file is in storage, and kept for 7 days; without p_bytes there is nobody for it. `data`
-- is `{ finished }`, false for an attempt that has lost its task. Locks: task → export → rate-limit row.
declare
  v_now constant timestamptz := core.now();
  v_finished boolean;
begin
  v_finished := queue.finish(p_task_id, p_attempt);
  if v_finished and p_bytes is not null then
    update accounts.exports as e
    set made_at = v_now, bytes = p_bytes, expires_at = v_now + interval '7 days'
    where e.id = p_export_id and e.made_at is null and e.failed_at is null;
  elsif v_finished then
    perform accounts.fail_export(p_export_id);
  end if;
  return guard.answer(jsonb_build_object('finished', v_finished));
end;
$$;
grant execute on function api.finish_export to service_role;

create function api.finish_export_deletion(p_task_id bigint, p_attempt integer, p_export_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Ends a `delete_export` task: the file is gone from storage. `data` is `{ finished }`, false for an attempt that has lost
-- its task. Locks: task → export.
declare
  v_finished boolean;
begin
  v_finished := queue.finish(p_task_id, p_attempt);
  if v_finished then
    delete from accounts.exports as e where e.id = p_export_id;
  end if;
  return guard.answer(jsonb_build_object('finished', v_finished));
end;
$$;
grant execute on function api.finish_export_deletion to service_role;
