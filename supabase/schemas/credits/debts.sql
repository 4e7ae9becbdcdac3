-- A debt is what a reversal could not take of its own lot. Whatever the account has pays it (credits.settle_account), and is
-- put back into the lots that paid when the debt turns out not to be one.

create function credits.open_debt(p_account credits.accounts)
returns credits.accounts
language plpgsql
volatile
set search_path = ''
as $$
-- The account of what somebody owes, which is made with their first debt. The caller has locked p_account, theirs.
declare
  v_owed credits.accounts;
begin
  insert into credits.accounts (kind, owner_kind, owner_id, unit, balance)
  values ('owed', p_account.owner_kind, p_account.owner_id, p_account.unit, 0)
  on conflict do nothing;
  select a.* into strict v_owed
  from credits.accounts as a
  where a.owner_id = p_account.owner_id and a.kind = 'owed' and a.unit = p_account.unit;
  return v_owed;
end;
$$;

create function credits.payable(p_account_id bigint)
returns bigint
language sql
stable
set search_path = ''
as $$
  -- What an account has to pay a debt with: all but what was bought in the sandbox.
  select coalesce(sum(l.remaining), 0)::bigint
  from credits.lots as l
  where l.account_id = p_account_id and not l.is_spent and not l.is_sandbox
$$;

create function credits.payments_of(p_account credits.accounts)
returns table (lot_id bigint, amount bigint)
language sql
stable
set search_path = ''
as $$
  -- What the lots of an account have paid of debts, and those of the guests' that were merged into it, and what was not put
  -- back since: by the account's own lot that would have it back. All of them at once: there may be thousands.
  with recursive owners as (
    select (p_account).owner_id as id
    union all
    select g.owner_id from owners as o join credits.accounts as g on g.merged_into = o.id
  ),
  debts as (
    select w.id
    from owners as o
    join credits.accounts as w on w.owner_id = o.id and w.kind = 'owed' and w.unit = (p_account).unit
  ),
  moved as (
    select d.lot_id, sum(d.amount)::bigint as amount
    from (
      select t.draws, 1 as sign
      from debts as w
      join credits.transfers as t on t.to_account_id = w.id and t.to_number is not null and t.kind = 'debt_payment'
      union all
      -- What became a debt draws no lot.
      select t.draws, -1
      from debts as w
      join credits.transfers as t on t.from_account_id = w.id and t.from_number is not null and t.kind = 'reversal'
    ) as m
    cross join lateral (select u.lot_id, m.sign * u.amount as amount from unnest(m.draws) as u (lot_id, amount)) as d
    group by d.lot_id
  ),
  descent as (
    select l.id, l.account_id, m.amount from moved as m join credits.lots as l on l.id = m.lot_id
    union all
    -- One, or none: an account merges once.
    select l.id, l.account_id, s.amount
    from descent as s
    join credits.lots as l on l.descends_from = s.id
    where s.account_id <> (p_account).id
  )
  select s.id, sum(s.amount)::bigint
  from descent as s
  where s.account_id = (p_account).id
  group by s.id
  having sum(s.amount) > 0
$$;

create function credits.put_back_payments(
  p_posting_id bigint, p_account credits.accounts, p_amount bigint, p_lot_id bigint default null,
  p_but_lot_ids bigint[] default '{}', p_job_id uuid default null
)
returns credits.draw[]
language plpgsql
volatile
set search_path = ''
as $$
-- Puts up to an amount of what paid an account's debts back into the lots that paid, so that the debt is there again: which
-- lots have what. Of one lot, or of all but some, and then first those that are spent last: so what comes back does not depend on
-- which debt was paid first, and lives as long as it can. One transfer however many payments those were, unless no amount
-- is large enough. The caller has locked the account, and settles it after that.
declare
  v_now constant timestamptz := core.now();
  v_missing bigint := p_amount;
  v_part record;
  v_draws credits.draw[] := '{}';
begin
  -- Most reversals have none to put back, and need not look.
  while v_missing > 0 loop
    select coalesce(sum(c.taken) filter (where c.total <= 1000000000), 0)::bigint as amount,
      array_agg(row(c.lot_id, c.taken)::credits.draw order by c.total) filter (where c.total <= 1000000000) as draws,
      coalesce(sum(c.taken), 0)::bigint as whole
    into v_part
    from (
      select p.lot_id, least(p.amount, v_missing - (p.total - p.amount))::bigint as taken, least(p.total, v_missing) as total
      from (
        select e.lot_id, e.amount, sum(e.amount) over (order by l.expires_at desc nulls first, l.id desc) as total
        from credits.payments_of(p_account) as e
        join credits.lots as l on l.id = e.lot_id
        where l.id = coalesce(p_lot_id, l.id) and l.id <> all (p_but_lot_ids)
      ) as p
      where p.total - p.amount < v_missing
    ) as c;
    exit when v_part.whole = 0;
    insert into credits.transfers (
      posting_id, owner_id, kind, from_account_id, to_account_id, amount, job_id, draws, created_at
    )
    values (
      p_posting_id, p_account.owner_id, 'reversal', (credits.open_debt(p_account)).id, p_account.id, v_part.amount,
      p_job_id, v_part.draws, v_now
    );
    v_draws := v_draws || v_part.draws;
    v_missing := v_missing - v_part.amount;
    exit when v_part.amount = v_part.whole;
  end loop;
  return v_draws;
end;
$$;

create function credits.missing_of(p_account credits.accounts)
returns table (lot_id bigint, amount bigint)
language sql
stable
set search_path = ''
as $$
  -- What was taken back of the lots of an account, and of the guests' that were merged into it, while it was not there, and
  -- they have not paid since: by the account's own lot.
  with recursive owners as (
    select (p_account).owner_id as id
    union all
    select g.owner_id from owners as o join credits.accounts as g on g.merged_into = o.id
  ),
  descent as (
    select l.id, l.account_id, r.amount::bigint
    from owners as o
    join credits.accounts as w on w.owner_id = o.id and w.kind = 'owed' and w.unit = (p_account).unit
    -- What was put back draws lots, and reverses nothing.
    join credits.transfers as r on r.from_account_id = w.id and r.from_number is not null and r.kind = 'reversal'
    join credits.transfers as t on t.id = r.reverses_id
    join credits.lots as l on l.id = t.draws[1].lot_id
    where not exists (select from credits.transfers as g where g.reverses_id = r.id and g.kind = 'reversal')
    union all
    select l.id, l.account_id, s.amount
    from descent as s
    join credits.lots as l on l.descends_from = s.id
    where s.account_id <> (p_account).id
  )
  select s.id, sum(s.amount)::bigint - coalesce(min(p.amount), 0)
  from descent as s
  left join credits.payments_of(p_account) as p on p.lot_id = s.id
  where s.account_id = (p_account).id
  group by s.id
  having sum(s.amount) > coalesce(min(p.amount), 0)
$$;

create function credits.pay_own_debts(p_account credits.accounts, p_draws credits.draw[], p_now timestamptz, p_job_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- What a job held and is there again pays what its own lot was missing for, as it would have been taken when that lot was
-- taken back; others that have paid it meanwhile have that back. So nothing depends on whether a video fails before or after
-- a refund. Whoever calls has put the draws into their lots, and settles the account after that.
declare
  v_owed credits.accounts;
  v_own credits.draw[];
  v_amount bigint;
begin
  select a.* into v_owed
  from credits.accounts as a
  where a.owner_id = p_account.owner_id and a.kind = 'owed' and a.unit = p_account.unit;
  if not found and not exists (select from credits.accounts as g where g.merged_into = p_account.owner_id) then
    return;
  end if;
  select coalesce(array_agg(row(d.lot_id, least(d.amount, m.amount))::credits.draw order by d.lot_id), '{}') into v_own
  from unnest(p_draws) as d (lot_id, amount)
  join credits.missing_of(p_account) as m on m.lot_id = d.lot_id;
  v_amount := credits.drawn(v_own);
  if v_amount = 0 then
    return;
  end if;
  perform credits.revive_lots(p_account.id, credits.put_back_payments(
    null, p_account, v_amount - coalesce(v_owed.balance, 0), null,
    array(select d.lot_id from unnest(v_own) as d (lot_id, amount)), p_job_id
  ), p_now);
  v_amount := least(v_amount, credits.owed(p_account.owner_id));
  select coalesce(array_agg(row(d.lot_id, least(d.amount, v_amount - d.before))::credits.draw order by d.lot_id), '{}')
  into v_own
  from (
    select u.lot_id, u.amount, (sum(u.amount) over (order by u.lot_id) - u.amount)::bigint as before
    from unnest(v_own) as u (lot_id, amount)
  ) as d
  where d.before < v_amount;
  if v_amount > 0 then
    insert into credits.transfers (
      owner_id, kind, from_account_id, to_account_id, amount, job_id, draws, created_at
    )
    values (
      p_account.owner_id, 'debt_payment', p_account.id, (credits.open_debt(p_account)).id, v_amount, p_job_id, v_own, p_now
    );
  end if;
end;
$$;
