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
-- `{ finished }`, false for an attempt that has lost its task, which then tells nobody. Locks: task → alert.
declare
  v_finished boolean;
begin
  v_finished := queue.finish(p_task_id, p_attempt);
  if v_finished and p_failure is not null then
    perform accounts.note_unrevoked(p_user_id, p_failure);
  end if;
  return guard.answer(jsonb_build_object('finished', v_finished));
end;
$$;
grant execute on function api.finish_apple_revocation to service_role;
