create function api.post_push_tokens(
  p_user_id uuid, p_token text, p_environment text, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Makes a device the caller's, as notify.register_token does: `data` is `{}`. A second call says that it is still there.
-- Counts against `writes`. Locks: rate-limit row → account → tokens.
declare
  v_caller record;
begin
  v_caller := guard.enter(p_user_id, 'push-tokens', '{writes}', null, p_locks => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  perform notify.register_token(p_user_id, p_token, p_environment::notify.push_environment);
  return guard.answer('{}', v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.post_push_tokens to service_role;

create function api.delete_push_tokens(p_user_id uuid, p_token text, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Tells a device of the caller's nothing any more: `data` is `{}`, also where it is another's, which it stays. A second call
-- changes nothing. Counts against `writes`. Locks: rate-limit row → account → token.
declare
  v_caller record;
begin
  v_caller := guard.enter(p_user_id, 'push-tokens', '{writes}', null, p_locks => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  delete from notify.push_tokens as t where t.token = p_token and t.user_id = p_user_id;
  return guard.answer('{}', v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.delete_push_tokens to service_role;
