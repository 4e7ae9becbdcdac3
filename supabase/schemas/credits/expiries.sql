create function credits.expiries_of(p_transfer_id uuid)
returns table (transfer_id uuid, lot_id bigint, amount bigint)
language sql
stable
set search_path = ''
as $$
  -- What expired of the lot that a grant or purchase made, and of those that descend from it, and was not given back since:
  -- by the transfer that booked it.
  select t.id, d.lot_id, d.amount
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
    and not exists (
      select from credits.transfers as g
      cross join lateral unnest(g.draws) as b (lot_id, amount)
      where g.reverses_id = t.id and g.kind = 'reversal' and b.lot_id = d.lot_id
    )
$$;

create function credits.expired_of(p_transfer_id uuid)
returns bigint
language sql
stable
set search_path = ''
as $$
  select coalesce(sum(e.amount), 0)::bigint from credits.expiries_of(p_transfer_id) as e
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
  v_expired record;
  v_posting_id bigint;
  v_now timestamptz;
begin
  select t.* into strict v_original from credits.transfers as t where t.id = p_transfer_id;
  v_account := credits.lock_account(v_original.owner_id);
  v_now := core.now();
  update credits.lots as l
  set expires_at = p_expires_at
  where l.id in (select d.id from credits.lots_of(v_original.draws[1].lot_id) as d) and l.expires_at < p_expires_at;
  if p_expires_at > v_now then
    for v_expired in
      select e.transfer_id, sum(e.amount) as amount, array_agg(row(e.lot_id, e.amount)::credits.draw) as draws
      from credits.expiries_of(p_transfer_id) as e
      group by e.transfer_id
      order by e.transfer_id
    loop
      -- The number of its first entry: an account has it once.
      v_posting_id := coalesce(v_posting_id, credits.record_posting(
        format('extension:%s:%s', v_account.id, v_account.entry_count + 1), v_account.owner_id,
        jsonb_build_object('call', 'extend', 'transfer_id', p_transfer_id),
        jsonb_build_object('expires_at', extract(epoch from p_expires_at)), v_now
      ));
      insert into credits.transfers (
        posting_id, owner_id, kind, from_account_id, to_account_id, amount, reverses_id, draws, created_at
      )
      values (
        v_posting_id, v_account.owner_id, 'reversal', credits.system_account('breakage'), v_account.id, v_expired.amount,
        v_expired.transfer_id, v_expired.draws, v_now
      );
    end loop;
    if v_posting_id is not null then
      perform credits.settle_account(v_posting_id, v_account, v_now);
    end if;
  end if;
  perform credits.note_next_expiry(v_account.id);
end;
$$;
