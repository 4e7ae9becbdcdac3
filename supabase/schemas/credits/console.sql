create function credits.add_credits(
  p_user_id uuid, p_amount bigint, p_reason text, p_idempotency_key text default null
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_outcome jsonb;
begin
  perform credits.open_account(p_user_id);
  v_outcome := credits.add(
    p_user_id, p_amount, 'adjustment',
    coalesce(p_idempotency_key, format('add:%s:%s', left(p_reason, 200), core.new_id()))
  );
  return jsonb_build_object('success', true, 'credits_remaining', v_outcome -> 'credits_remaining');
end;
$$;
comment on function credits.add_credits(uuid, bigint, text, text) is
  'Adds credits by hand: { success, credits_remaining }. A new key is made where none is given; the reason is kept in it,
as far as it fits, and nowhere else. A second call with the same key adds nothing. Locks: account → lots.';

create function credits.deduct_credits(
  p_user_id uuid, p_amount bigint, p_reason text, p_idempotency_key text default null
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_outcome jsonb;
begin
  perform credits.open_account(p_user_id);
  v_outcome := credits.deduct(
    p_user_id, p_amount, coalesce(p_idempotency_key, format('deduct:%s:%s', left(p_reason, 200), core.new_id()))
  );
  if v_outcome ? 'error' then
    return v_outcome || '{"success": false}';
  end if;
  return jsonb_build_object('success', true, 'credits_remaining', v_outcome -> 'credits_remaining');
end;
$$;
comment on function credits.deduct_credits(uuid, bigint, text, text) is
  'Takes credits by hand, never below zero: { success: true, credits_remaining }, or
{ success: false, error, current_credits } with nothing moved. Key, reason and locks as in credits.add_credits.';

create function credits.balance_at(p_owner_id uuid, p_time timestamptz)
returns bigint
language sql
stable
set search_path = ''
as $$
  select coalesce((
    select e.balance_after
    from credits.entries as e
    where e.account_id = (
        select a.id from credits.accounts as a
        where a.owner_id = p_owner_id and a.kind = 'available' and a.unit = 'credit'
      )
      -- Said for the planner: the index of numbers has no others.
      and e.number is not null
      and e.created_at <= p_time
    order by e.number desc
    limit 1
  ), 0)
$$;
comment on function credits.balance_at(uuid, timestamptz) is 'What a user had at a time, as it was booked then.';

create function credits.statement(p_owner_id uuid, p_limit integer, p_before bigint default null)
returns table (
  number bigint, transfer_id uuid, kind credits.transfer_kind, amount bigint, balance_after bigint, job_id uuid,
  created_at timestamptz
)
language plpgsql
stable
set search_path = ''
-- A plan for this page's length is no better, and costs twice as much as reading the page.
set plan_cache_mode = force_generic_plan
as $$
begin
  return query
  select e.number, e.transfer_id, e.kind, e.amount, e.balance_after, e.job_id, e.created_at
  from credits.entries as e
  where e.account_id = (
      select a.id from credits.accounts as a
      where a.owner_id = p_owner_id and a.kind = 'available' and a.unit = 'credit'
    )
    and e.number < coalesce(p_before, 9223372036854775807)
  order by e.number desc
  limit p_limit;
end;
$$;
comment on function credits.statement(uuid, integer, bigint) is
  'A user''s entries, newest first, page by page. A page starts below the last number of the one before, so that new
entries do not move it.';

create view credits.system_balances with (security_invoker = true) as
select a.kind, a.unit, coalesce(sum(e.amount), 0)::bigint as balance
from credits.accounts as a
left join credits.entries as e on e.account_id = a.id
where a.owner_id is null
group by a.kind, a.unit;
comment on view credits.system_balances is 'The platform''s accounts, which carry no balance: the sum of their entries.';

create function credits.use_of(p_transfer_id uuid)
returns table (job_id uuid, captured bigint, released bigint, held bigint)
language sql
stable
set search_path = ''
as $$
  -- Of each job, what it took of the lot that a grant or purchase made, and of its successors, by what became
  -- of it. The transfer is the one that made the lot.
  select h.job_id,
    sum(d.amount) filter (where e.kind = 'capture')::bigint, sum(d.amount) filter (where e.kind = 'release')::bigint,
    sum(d.amount) filter (where e.kind is null)::bigint
  from credits.transfers as o
  cross join lateral (
    select array_agg(l.id) as ids, array_agg(distinct l.account_id) as accounts
    from credits.lots_of(o.draws[1].lot_id) as l
  ) as own
  join credits.transfers as h on h.from_account_id = any (own.accounts) and h.kind = 'hold' and h.from_number is not null
    -- In its own account it can only have been drawn since.
    and (h.from_account_id <> o.to_account_id or h.from_number > o.to_number)
  cross join lateral unnest(h.draws) as d (lot_id, amount)
  left join credits.transfers as e on e.reverses_id = h.id and e.kind in ('capture', 'release')
  where o.id = p_transfer_id and d.lot_id = any (own.ids)
  group by h.job_id
$$;
