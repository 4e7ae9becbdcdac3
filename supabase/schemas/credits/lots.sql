-- The lots that an amount comes from: those that expire first, then the oldest.
create function credits.choose_lots(p_account_id bigint, p_amount bigint)
returns credits.draw[]
language plpgsql
stable
set search_path = ''
as $$
declare
  v_lot record;
  v_missing bigint := p_amount;
  v_draws credits.draw[] := '{}';
begin
  for v_lot in
    select l.id, l.remaining
    from credits.lots as l
    where l.account_id = p_account_id and not l.is_spent
    order by l.expires_at nulls last, l.id
  loop
    v_draws := v_draws || row(v_lot.id, least(v_lot.remaining, v_missing))::credits.draw;
    v_missing := v_missing - v_lot.remaining;
    exit when v_missing <= 0;
  end loop;
  return v_draws;
end;
$$;

create function credits.lots_of(p_lot_id bigint)
returns setof credits.lots
language sql
stable
set search_path = ''
as $$
  -- A lot, and its successors in the accounts that its own became a part of.
  with recursive found as (
    select l.id from credits.lots as l where l.id = p_lot_id
    union all
    select l.id from credits.lots as l join found as f on l.descends_from = f.id
  )
  select l.* from credits.lots as l where l.id in (select f.id from found as f)
$$;

create function credits.choose_lots_to_pay(p_account_id bigint, p_amount bigint)
returns credits.draw[]
language sql
stable
set search_path = ''
as $$
  -- As spending does, but from none that was bought in the sandbox, and less than the amount where there is no more.
  select coalesce(array_agg(row(o.id, least(o.remaining, p_amount - o.before)::bigint)::credits.draw order by o.before), '{}')
  from (
    select l.id, l.remaining, sum(l.remaining) over (order by l.expires_at nulls last, l.id) - l.remaining as before
    from credits.lots as l
    where l.account_id = p_account_id and not l.is_spent and not l.is_sandbox
  ) as o
  where o.before < p_amount
$$;

-- What draws come to.
create function credits.drawn(p_draws credits.draw[])
returns bigint
language sql
immutable
set search_path = ''
as $$
  select coalesce(sum(d.amount), 0)::bigint from unnest(p_draws) as d (lot_id, amount)
$$;

-- What a job's hold took of lots that were not bought in the sandbox, less what its refunds have given back of it.
create function credits.paid_for(p_job_id uuid)
returns bigint
language sql
stable
set search_path = ''
as $$
  select coalesce(sum(t.direction * d.amount), 0)::bigint
  from (
    select h.draws, 1 as direction from credits.transfers as h where h.job_id = p_job_id and h.kind = 'hold'
    union all
    select r.draws, -1 from credits.transfers as r where r.job_id = p_job_id and r.kind = 'refund'
  ) as t
  cross join lateral unnest(t.draws) as d (lot_id, amount)
  join credits.lots as l on l.id = d.lot_id and not l.is_sandbox
$$;

-- Draws, as they are of the lots' successors in an account that the lots' own was merged into, if it was.
create function credits.successors(p_draws credits.draw[], p_account_id bigint)
returns credits.draw[]
language sql
stable
set search_path = ''
as $$
  with recursive descent as (
    select d.place, l.id, l.account_id, d.amount
    from unnest(p_draws) with ordinality as d (lot_id, amount, place)
    join credits.lots as l on l.id = d.lot_id
    union all
    -- One, or none: an account merges once.
    select s.place, l.id, l.account_id, s.amount
    from descent as s
    join credits.lots as l on l.descends_from = s.id
    where s.account_id <> p_account_id
  )
  select coalesce(array_agg(row(s.id, s.amount)::credits.draw order by s.place), '{}')
  from descent as s
  where s.account_id = p_account_id
$$;

-- Keeps the account's next expiry true to its lots.
create function credits.note_next_expiry(p_account_id bigint)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  update credits.accounts as a
  set next_expiry_at = (
    select min(l.expires_at) from credits.lots as l where l.account_id = p_account_id and not l.is_spent
  )
  where a.id = p_account_id;
end;
$$;

-- Lots that expired while their credits were away live 24 hours more.
create function credits.revive_lots(p_account_id bigint, p_draws credits.draw[], p_now timestamptz)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  update credits.lots as l
  set expires_at = p_now + interval '24 hours'
  from unnest(p_draws) as d (lot_id, amount)
  where l.id = d.lot_id and l.account_id = p_account_id and l.expires_at <= p_now;
end;
$$;
