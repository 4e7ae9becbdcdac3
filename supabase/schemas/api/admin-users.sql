create function api.get_admin_users(p_admin_id uuid, p_user_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- A user, as ops.user_json. resource/not-found where there is none. Counts against `admin`.
-- Locks: rate-limit row → account → expired lots.
declare
  v_caller record;
  v_refusal jsonb;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-users', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  if not accounts.find(p_user_id) then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  perform credits.lock_account(p_user_id);
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  return guard.answer(ops.user_json(p_user_id), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.get_admin_users to service_role;

create function api.post_admin_users(
  p_admin_id uuid, p_request_id text, p_user_id uuid, p_action text, p_reason text, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Suspends a user, which also ends their sessions, where p_action is `ban`; lets them in again where it is `unban`. With `hold`
-- a user's data are kept as evidence until `lift_hold`, also of a closed account that is not erased yet.
-- Raises case_not_found for another. Jobs that were accepted go on. `data` is the user as in api.get_admin_users.
-- auth/forbidden for oneself and for other admins, who are the operator's affair; resource/not-found where there is no
-- such user; resource/wrong-state for a closed or merged account. A second call ends sessions that have begun since, and writes
-- nothing. Counts against `admin`. Locks: rate-limit row → account → user → sessions or tasks.
declare
  v_caller record;
  v_refusal jsonb;
  v_user accounts.users;
  v_bans boolean;
  v_changes boolean;
begin
  case p_action
    when 'ban' then v_bans := true;
    when 'unban' then v_bans := false;
    when 'hold', 'lift_hold' then v_bans := null;
  end case;
  v_caller := ops.enter_admin(p_admin_id, 'admin-users', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  if not accounts.find(p_user_id) then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  perform credits.lock_account(p_user_id);
  select u.* into strict v_user from accounts.users as u where u.id = p_user_id for no key update;
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  if v_user.is_admin then
    return guard.refusal('auth/forbidden', '{}', v_caller.limits, v_caller.language);
  end if;
  if v_user.closed_at is not null and (
    v_bans is not null or exists (select from accounts.erasures as r where r.user_id = p_user_id)
  ) then
    return guard.refusal('resource/wrong-state', '{"status": "closed"}', v_caller.limits, v_caller.language);
  end if;
  -- Of a guest who became somebody else, what was held before can be let go.
  if v_user.merged_into is not null and p_action <> 'lift_hold' then
    return guard.refusal('resource/wrong-state', '{"status": "merged"}', v_caller.limits, v_caller.language);
  end if;

  v_changes := case p_action
    when 'hold' then safety.hold(p_user_id)
    when 'lift_hold' then safety.lift_hold(p_user_id)
    else accounts.set_banned(p_user_id, v_bans)
  end;
  if v_changes then
    insert into ops.admin_actions (action, admin_id, user_id, reason, request_id, created_at)
    values (p_action::ops.admin_action, p_admin_id, p_user_id, p_reason, p_request_id, core.now());
  end if;
  if v_bans then
    perform accounts.end_sessions(p_user_id);
  end if;
  return guard.answer(ops.user_json(p_user_id), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.post_admin_users to service_role;
