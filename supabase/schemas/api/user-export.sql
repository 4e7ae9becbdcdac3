create function api.user_export(p_user_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Has a file made of all that is kept of the caller: `data` is `{ status, requested_at, path, bytes, expires_at }` of the
-- export, which is `pending`. While one is pending a second call answers with that one, and counts as none; when it is there,
-- limit/rate-exceeded by the policy `exports`, until a day is over. One that failed does not count. Counts against
-- `writes`. Locks: rate-limit rows → account.
declare
  v_caller record;
  v_export jsonb;
  v_taken guard.taken;
  v_id uuid;
begin
  v_caller := guard.enter(p_user_id, 'user-export', '{writes}', null, p_locks => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_export := accounts.export_json(p_user_id);
  if v_export ->> 'status' is distinct from 'pending' then
    v_taken := guard.take('{exports}', p_user_id, null, 'user-export');
    if v_taken.refusal is not null then
      return v_taken.refusal;
    end if;
    insert into accounts.exports (user_id, requested_at, hit) values (p_user_id, core.now(), v_taken.hits[1])
    returning id into v_id;
    perform queue.add('export_account', v_id, p_user_id, core.now());
    v_export := accounts.export_json(p_user_id);
  end if;
  return guard.answer(v_export, v_caller.limits || guard.limits_json(v_taken.limits), v_caller.language);
end;
$$;
grant execute on function api.user_export to service_role;
