-- guard: what stands between a request and the work. In this order: guard.sql, idempotency.sql, rate-limits.sql.

create schema guard;

-- A procedure's "no": the code of an error, which sources name by its category, its details, the limits that were asked, and
-- the user's language.
create function guard.refusal(
  p_category text, p_details jsonb default '{}', p_limits jsonb default null, p_language text default null
)
returns jsonb
language sql
stable
return jsonb_strip_nulls(jsonb_build_object(
  'error', core.error_code(p_category), 'details', p_details, 'limits', p_limits, 'language', p_language
));

-- What guard.take says: the limits as the API shows them, the envelope to return instead of going on, if any, and the times
-- that were counted, in the order of the policies, null for one that is broken. The limits are the text of JSON objects
-- with commas between, null for none: to read them as JSON costs more than to count, and is done once, by who needs it.
create type guard.taken as (limits text, refusal jsonb, hits timestamptz[]);

-- Limits as JSON.
create function guard.limits_json(p_limits text)
returns jsonb
language sql
immutable
return ('[' || coalesce(p_limits, '') || ']')::jsonb;

create function guard.enter(
  p_user_id uuid, p_endpoint text, p_policies text[], p_network text, p_locks boolean default false,
  p_suspended boolean default false, p_session_id uuid default null,
  out refusal jsonb, out limits jsonb, out language text, out is_new boolean, out account_id bigint, out balance bigint
)
language plpgsql
volatile
set search_path = ''
as $$
-- The beginning of a procedure without an idempotency key: whether the caller may act, and whether the policies admit
-- it. `refusal` is what to return, or null. With p_locks the account is locked and has no expired lots, and `balance`
-- is what it has. Who waited for a lock is asked again: the account may have been closed meanwhile, or its user
-- suspended. p_suspended and p_session_id are as in accounts.admit. Locks: rate-limit rows → account → expired lots.
declare
  v_caller record;
  v_taken guard.taken;
  v_locked record;
begin
  v_caller := accounts.admit(p_user_id, p_suspended, p_session_id);
  language := v_caller.language;
  refusal := v_caller.refusal;
  is_new := v_caller.is_new;
  if refusal is not null then
    return;
  end if;
  v_taken := guard.take(p_policies, p_user_id, p_network, p_endpoint);
  refusal := guard.in_language(v_taken.refusal, language);
  limits := guard.limits_json(v_taken.limits);
  if refusal is not null then
    return;
  end if;
  if p_locks then
    v_locked := accounts.lock(p_user_id, p_suspended);
    refusal := v_locked.refusal;
    account_id := (v_locked.account).id;
    balance := (v_locked.account).balance;
  else
    refusal := (accounts.admit(p_user_id, p_suspended)).refusal;
  end if;
  if refusal is not null then
    refusal := refusal || jsonb_build_object('limits', limits);
  end if;
end;
$$;

-- A procedure's answer: the data, the limits that were asked, the user's language.
create function guard.answer(p_data jsonb, p_limits jsonb default null, p_language text default null)
returns jsonb
language sql
stable
-- The data stands here once: what a body names twice is not put in the place of its call where it is dear or volatile.
return jsonb_build_object('data', p_data) || case
  when p_limits is null and p_language is null then '{}'
  when p_language is null then jsonb_build_object('limits', p_limits)
  when p_limits is null then jsonb_build_object('language', p_language)
  else jsonb_build_object('limits', p_limits, 'language', p_language)
end;

-- A keyed procedure's answer, as JSON that nobody reads before it is sent: an outcome, with the limits of guard.taken and the
-- user's language, which it does not have.
create function guard.reply(p_outcome jsonb, p_limits text, p_language text)
returns json
language sql
immutable
return (
  left(p_outcome::text, -1) || coalesce(',"limits":[' || p_limits || ']', '')
    || coalesce(',"language":"' || p_language || '"', '') || '}'
)::json;

-- An outcome that was made without knowing the user's language.
create function guard.in_language(p_outcome jsonb, p_language text)
returns jsonb
language sql
stable
return case
  when p_language is null then p_outcome else p_outcome || jsonb_build_object('language', p_language)
end;
