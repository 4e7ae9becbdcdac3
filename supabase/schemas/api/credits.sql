create function api.credits(
  p_user_id uuid, p_limit integer, p_after jsonb default null, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- What the caller has, and a page of what moved it. `data`: `{ credits_remaining, credits_held, credits_owed, expiring,
-- transactions, next }`, all of one moment: what is due has been booked as expired, and the account is locked.
-- `expiring` is the next 30 days' `[{ credits, expires_at }]`, soonest first. Counts against `reads`.
-- Locks: rate-limit row → account → expired lots.
declare
  v_caller record;
  v_until timestamptz;
  v_expiring jsonb;
  v_transactions jsonb;
  v_next jsonb;
begin
  v_caller := guard.enter(p_user_id, 'credits', '{reads}', null, p_locks => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_until := core.now() + interval '30 days';

  select coalesce(jsonb_agg(
    jsonb_build_object('credits', e.credits, 'expires_at', e.expires_at) order by e.expires_at
  ), '[]') into v_expiring
  from (
    select sum(l.remaining) as credits, core.to_iso(l.expires_at) as expires_at
    from credits.lots as l
    where l.account_id = v_caller.account_id and not l.is_spent and l.expires_at <= v_until
    group by core.to_iso(l.expires_at)
  ) as e;

  select coalesce(jsonb_agg(p.transaction order by p.number desc) filter (where p.place <= p_limit), '[]'),
    case when count(*) > p_limit then
      jsonb_build_object('number', min(p.number) filter (where p.place <= p_limit))
    end
  into v_transactions, v_next
  from (
    select s.number, row_number() over (order by s.number desc) as place,
      jsonb_build_object(
        'id', s.transfer_id, 'amount', s.amount, 'kind', s.kind, 'balance_after', s.balance_after, 'job_id', s.job_id,
        'created_at', core.to_iso(s.created_at)
      ) as transaction
    from credits.statement(p_user_id, p_limit + 1, (p_after ->> 'number')::bigint) as s
  ) as p;

  return guard.answer(
    jsonb_build_object(
      'credits_remaining', v_caller.balance,
      'credits_held', videos.held_credits(p_user_id),
      'credits_owed', credits.owed(p_user_id),
      'expiring', v_expiring, 'transactions', v_transactions, 'next', v_next
    ),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.credits to service_role;
