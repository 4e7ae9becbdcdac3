-- credits: adding and deducting by hand, in the operator's console.

create function credits.add_credits(
  p_user_id uuid, p_amount bigint, p_reason text, p_idempotency_key text default null
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- For the operator's console: `{ success, credits_remaining }`. A new key is made where none is given; the reason is
-- kept in it, as far as it fits, and nowhere else.
declare
  v_outcome jsonb;
begin
  perform credits.open_account(p_user_id);
  v_outcome := credits.add(
    p_user_id, p_amount, 'adjustment',
    coalesce(p_idempotency_key, format('add:%s:%s', left(p_reason, 200), ops.new_id()))
  );
  return jsonb_build_object('success', true, 'credits_remaining', v_outcome -> 'credits_remaining');
end;
$$;

revoke all on function credits.add_credits(uuid, bigint, text, text) from public, anon, authenticated, service_role;
comment on function credits.add_credits(uuid, bigint, text, text) is 'Adds credits by hand.';

create function credits.deduct_credits(
  p_user_id uuid, p_amount bigint, p_reason text, p_idempotency_key text default null
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- For the operator's console: `{ success: true, credits_remaining }`, or
-- `{ success: false, error, current_credits }` with nothing moved. Key and reason as in credits.add_credits.
declare
  v_outcome jsonb;
begin
  perform credits.open_account(p_user_id);
  v_outcome := credits.deduct(
    p_user_id, p_amount, coalesce(p_idempotency_key, format('deduct:%s:%s', left(p_reason, 200), ops.new_id()))
  );
  if v_outcome ? 'error' then
    return v_outcome || '{"success": false}';
  end if;
  return jsonb_build_object('success', true, 'credits_remaining', v_outcome -> 'credits_remaining');
end;
$$;

revoke all on function credits.deduct_credits(uuid, bigint, text, text)
  from public, anon, authenticated, service_role;
comment on function credits.deduct_credits(uuid, bigint, text, text) is 'Takes credits by hand; never below zero.';
