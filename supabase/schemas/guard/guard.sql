-- guard: what stands between a request and the work. In this order: guard.sql, idempotency.sql, rate-limits.sql.

create schema guard;

-- A procedure's "no": a code of the registry, its details, and the limits that were asked.
create function guard.refusal(p_code text, p_details jsonb default '{}', p_limits jsonb default null)
returns jsonb
language sql
stable
return jsonb_strip_nulls(jsonb_build_object('error', p_code, 'details', p_details, 'limits', p_limits));

create function guard.enter(
  p_user_id uuid, p_endpoint text, p_policies text[], p_network text,
  out refusal jsonb, out limits jsonb, out language text, out is_new boolean
)
language plpgsql
volatile
set search_path = ''
as $$
-- The beginning of a procedure without an idempotency key: whether the caller may act, and whether the policies admit
-- it. `refusal` is what to return, or null. Locks: rate-limit rows.
declare
  v_taken jsonb;
begin
  select a.refusal, a.language, a.is_new into refusal, language, is_new from accounts.admit(p_user_id) as a;
  if refusal is null then
    v_taken := guard.take(p_policies, p_user_id, p_network, p_endpoint);
    refusal := v_taken -> 'refusal';
    limits := v_taken -> 'limits';
  end if;
end;
$$;

-- A procedure's answer: the data, the limits that were asked, the user's language.
create function guard.answer(p_data jsonb, p_limits jsonb default null, p_language text default null)
returns jsonb
language sql
stable
return jsonb_build_object('data', p_data)
  || jsonb_strip_nulls(jsonb_build_object('limits', p_limits, 'language', p_language));
