create function api.get_sessions(p_user_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Where the caller is signed in: `data` is `{ sessions: [{ id, created_at, last_used_at, is_current }] }`, the one that was
-- used last first. A session is used when its tokens are refreshed. Counts against `reads`. Locks: rate-limit row.
declare
  v_caller record;
begin
  v_caller := guard.enter(p_user_id, 'sessions', '{reads}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  return guard.answer(
    jsonb_build_object('sessions', accounts.sessions_json(p_user_id, p_session_id)), v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.get_sessions to service_role;

create function api.delete_sessions(p_user_id uuid, p_ended_session_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Ends one of the caller's sessions, the current one too; or, where none is named, all the others. `data`: `{ ended }`, how
-- many. resource/not-found for one that is not there, as in a second call, or another's. Whatever comes with a token of it
-- is refused from then on. Counts against `writes`. Locks: rate-limit row → sessions.
declare
  v_caller record;
  v_ended integer := 1;
begin
  v_caller := guard.enter(p_user_id, 'sessions', '{writes}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  if p_ended_session_id is null then
    v_ended := accounts.end_sessions(p_user_id, p_session_id);
  elsif not accounts.end_session(p_user_id, p_ended_session_id) then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  return guard.answer(jsonb_build_object('ended', v_ended), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.delete_sessions to service_role;
