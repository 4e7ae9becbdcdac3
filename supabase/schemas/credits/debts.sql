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
returns table (transfer_id uuid, lot_id bigint, amount bigint)
language sql
stable
set search_path = ''
as $$
  -- What paid the debts of an account, and of the guests' that were merged into it, and was not put back since: by payment,
  -- and by the account's own lot that has it back.
  with recursive owners as (
    select (p_account).owner_id as id
    union all
    select g.owner_id from owners as o join credits.accounts as g on g.merged_into = o.id
  )
  select p.id, p.lot_id, p.amount
  from (
    select t.id, d.lot_id, d.amount - coalesce((
      select sum(b.amount)
      from credits.transfers as r
      cross join lateral unnest(credits.successors(r.draws, (p_account).id)) as b (lot_id, amount)
      where r.reverses_id = t.id and r.kind = 'reversal' and b.lot_id = d.lot_id
    ), 0)::bigint as amount
    from owners as o
    join credits.accounts as w on w.owner_id = o.id and w.kind = 'owed' and w.unit = (p_account).unit
    join credits.transfers as t on t.to_account_id = w.id and t.to_number is not null and t.kind = 'debt_payment'
    cross join lateral unnest(credits.successors(t.draws, (p_account).id)) as d (lot_id, amount)
  ) as p
  where p.amount > 0
$$;

create function credits.put_back_payments(
  p_posting_id bigint, p_account credits.accounts, p_amount bigint, p_lot_id bigint default null
)
returns credits.draw[]
language plpgsql
volatile
set search_path = ''
as $$
-- Puts up to an amount of what paid an account's debts back into the lots that paid, so that the debt is there again: which
-- lots have what. Of one lot, or of all, and then first those that are spent last: so what comes back does not depend on
-- which debt was paid first, and lives as long as it can. The caller has locked the account, and settles it after that.
declare
  v_now constant timestamptz := core.now();
  v_owed credits.accounts;
  v_payment record;
  v_draws credits.draw[] := '{}';
begin
  for v_payment in
    select c.transfer_id, sum(c.taken)::bigint as amount, array_agg(row(c.lot_id, c.taken)::credits.draw) as draws
    from (
      select p.transfer_id, p.lot_id,
        least(p.amount, p_amount - (sum(p.amount) over last_spent_first - p.amount))::bigint as taken
      from credits.payments_of(p_account) as p
      join credits.lots as l on l.id = p.lot_id
      where l.id = coalesce(p_lot_id, l.id)
      window last_spent_first as (order by l.expires_at desc nulls first, l.id desc, p.transfer_id desc)
    ) as c
    where c.taken > 0
    group by c.transfer_id
    order by c.transfer_id
  loop
    v_owed := credits.open_debt(p_account);
    insert into credits.transfers (
      posting_id, owner_id, kind, from_account_id, to_account_id, amount, reverses_id, draws, created_at
    )
    values (
      p_posting_id, p_account.owner_id, 'reversal', v_owed.id, p_account.id, v_payment.amount, v_payment.transfer_id,
      v_payment.draws, v_now
    );
    v_draws := v_draws || v_payment.draws;
  end loop;
  return v_draws;
end;
$$;
