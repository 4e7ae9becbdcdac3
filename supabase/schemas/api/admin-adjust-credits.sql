create function api.admin_adjust_credits(
  p_admin_id uuid, p_idempotency_key text, p_fingerprint text, p_request_id text, p_user_id uuid, p_amount bigint,
  p_reason text, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Adjusts credits once per idempotency key of an admin. A second call answers what the first did; see
-- ops.adjust_credits for the rest. Locks: idempotency key → rate-limit row → account → lots → the admin.
declare
  v_caller record;
  v_outcome jsonb;
begin
  v_caller := ops.admit_admin(p_admin_id, p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_outcome := guard.claim(p_admin_id, 'admin-adjust-credits', p_idempotency_key, p_fingerprint);
  if v_outcome is null then
    v_outcome := guard.finish(
      p_admin_id, 'admin-adjust-credits', p_idempotency_key, p_fingerprint,
      ops.adjust_credits(p_admin_id, p_request_id, p_user_id, p_amount, p_reason)
    );
  end if;
  return guard.in_language(v_outcome, v_caller.language);
end;
$$;
grant execute on function api.admin_adjust_credits to service_role;
