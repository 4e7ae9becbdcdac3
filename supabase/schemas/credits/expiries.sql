create function credits.expiries_of(p_transfer_id uuid)
returns table (transfer_id uuid, posting_id bigint, lot_id bigint, amount bigint)
language sql
stable
set search_path = ''
as $$
  -- What expired of the lot that a grant or purchase made, and of its successors, and was not given back since:
  -- by the transfer that booked it, and its posting.
  select e.id, e.posting_id, e.lot_id, e.amount
  from (
    select t.id, t.posting_id, d.lot_id, d.amount - coalesce((
      select sum(b.amount)
      from credits.transfers as g
      cross join lateral unnest(g.draws) as b (lot_id, amount)
      -- Into the lot that it came from, or its successor with whom the account was merged into.
      where g.reverses_id = t.id and g.kind = 'reversal'
        and b.lot_id = (credits.successors(array[row(d.lot_id, d.amount)::credits.draw], g.to_account_id))[1].lot_id
    ), 0)::bigint as amount
    from credits.transfers as o
    cross join lateral (
      select array_agg(l.id) as ids, array_agg(distinct l.account_id) as accounts
      from credits.lots_of(o.draws[1].lot_id) as l
      where l.expires_at is not null
    ) as own
    join credits.transfers as t on t.from_account_id = any (own.accounts) and t.kind = 'expiry' and t.from_number is not null
      -- In its own account it can only have expired since.
      and (t.from_account_id <> o.to_account_id or t.from_number > o.to_number)
    cross join lateral unnest(t.draws) as d (lot_id, amount)
    where o.id = p_transfer_id and d.lot_id = any (own.ids)
  ) as e
  where e.amount > 0
$$;

create function credits.restore_expired(
  p_transfer_id uuid, p_account credits.accounts, p_amount bigint, out restored bigint, out posting_id bigint
)
language plpgsql
volatile
set search_path = ''
as $$
-- Gives back up to an amount of what expired of a purchase, null being all of it, into the lots that it expired from: how
-- much that was, and by which posting, if by any. The caller has locked the account, and takes it or settles the account
-- after that.
declare
  v_now constant timestamptz := core.now();
  v_expired record;
begin
  restored := 0;
  for v_expired in
    select c.transfer_id, sum(c.taken)::bigint as amount, array_agg(row(c.lot_id, c.taken)::credits.draw) as draws
    from (
      select e.transfer_id, e.posting_id, e.lot_id,
        least(e.amount, p_amount - (sum(e.amount) over (order by e.posting_id, e.lot_id) - e.amount))::bigint as taken
      from credits.expiries_of(p_transfer_id) as e
    ) as c
    where c.taken > 0
    group by c.transfer_id, c.posting_id
    order by c.posting_id
  loop
    -- The number of its first entry: an account has it once.
    posting_id := coalesce(posting_id, credits.record_posting(
      format('restore:%s:%s', p_account.id, p_account.entry_count + 1), p_account.owner_id,
      jsonb_build_object('call', 'restore_expired', 'transfer_id', p_transfer_id, 'amount', p_amount), '{}', v_now
    ));
    insert into credits.transfers (
      posting_id, owner_id, kind, from_account_id, to_account_id, amount, reverses_id, draws, created_at
    )
    values (
      restore_expired.posting_id, p_account.owner_id, 'reversal', credits.system_account('breakage'), p_account.id, v_expired.amount,
      v_expired.transfer_id, credits.successors(v_expired.draws, p_account.id), v_now
    );
    restored := restored + v_expired.amount;
  end loop;
end;
$$;

create function credits.extend(p_transfer_id uuid, p_expires_at timestamptz)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Lets what a purchase brought live until p_expires_at at least. What expired of it before that was known is given back: a
-- debt is paid of it first, as of all that comes in. A second call changes nothing. Locks: account → lots.
declare
  v_original credits.transfers;
  v_account credits.accounts;
  v_posting_id bigint;
begin
  select t.* into strict v_original from credits.transfers as t where t.id = p_transfer_id;
  v_account := credits.lock_account(v_original.owner_id);
  update credits.lots as l
  set expires_at = p_expires_at
  where l.id in (select d.id from credits.lots_of(v_original.draws[1].lot_id) as d) and l.expires_at < p_expires_at;
  if p_expires_at > core.now() then
    v_posting_id := (credits.restore_expired(p_transfer_id, v_account, null)).posting_id;
    if v_posting_id is not null then
      perform credits.settle_account(v_posting_id, v_account, core.now());
    end if;
  end if;
  perform credits.note_next_expiry(v_account.id);
end;
$$;
