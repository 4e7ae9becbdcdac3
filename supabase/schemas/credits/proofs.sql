-- How far the ledger is proved: for each account the last entry, and when. Apart from the accounts, so that proving
-- never makes a posting wait.
create table credits.checkpoints (
  account_id bigint primary key,
  number bigint not null,
  hash bytea not null,
  balance bigint not null
);
alter table credits.checkpoints enable row level security;
comment on table credits.checkpoints is 'The last entry of each account that was proved.';

create table credits.proofs (
  id bigint generated always as identity primary key,
  proved_until timestamptz not null,
  violations bigint not null
);
alter table credits.proofs enable row level security;
comment on table credits.proofs is 'When the ledger was proved, and how many violations were found.';

create type credits.violation as (violation text, subject text, details jsonb);

-- Whether a kind of transfer goes from one kind of account to another.
create function credits.is_route(
  p_kind credits.transfer_kind, p_from credits.account_kind, p_to credits.account_kind
)
returns boolean
language sql
immutable
return case p_kind
  when 'grant' then p_from = 'grants' and p_to = 'available'
  when 'purchase' then p_from in ('purchases', 'sandbox') and p_to = 'available'
  when 'refund' then p_from = 'revenue' and p_to = 'available'
  when 'adjustment' then (p_from, p_to) in (('grants', 'available'), ('available', 'grants'))
  when 'hold' then p_from = 'available' and p_to = 'escrow'
  when 'capture' then p_from = 'escrow' and p_to = 'revenue'
  when 'release' then p_from = 'escrow' and p_to = 'available'
  when 'expiry' then p_from = 'available' and p_to = 'breakage'
  when 'debt_payment' then p_from = 'available' and p_to = 'owed'
  when 'forfeit' then p_from = 'available' and p_to = 'forfeited'
  when 'merge' then (p_from, p_to) in (
    ('available', 'merging'), ('merging', 'available'), ('owed', 'merging'), ('merging', 'owed')
  )
  -- And back, where it was reversed itself; of an expiry or a payment, only back.
  when 'reversal' then (p_from, p_to) in (('breakage', 'available'), ('owed', 'available'))
    or (least(p_from, p_to) in ('available', 'owed') and greatest(p_from, p_to) in ('grants', 'purchases', 'sandbox'))
end;

-- Whether an owner's account was merged into another's, at once or by way of others.
create function credits.is_heir(p_owner_id uuid, p_heir_id uuid)
returns boolean
language sql
stable
set search_path = ''
as $$
  with recursive heirs as (
    select a.merged_into as id from credits.accounts as a where a.owner_id = p_owner_id and a.kind = 'available'
    union all
    select a.merged_into from heirs as h join credits.accounts as a on a.owner_id = h.id and a.kind = 'available'
  )
  select exists (select from heirs as h where h.id = p_heir_id)
$$;

-- How many lots of an account are not what the draws of its transfers left of them, are not its owner's, or expire
-- unnoticed. A lot that nothing drew is not here: one with credits makes the sum of the lots differ.
create function credits.odd_lots(p_account credits.accounts)
returns bigint
language sql
stable
set search_path = ''
as $$
  select count(*)
  from (
    select x.lot_id, sum(s.sign * x.amount) as remaining
    from (
      select -1 as sign, t.draws from credits.transfers as t
      where t.from_account_id = p_account.id and t.from_number is not null
      union all
      select 1, t.draws from credits.transfers as t where t.to_account_id = p_account.id and t.to_number is not null
    ) as s
    cross join lateral unnest(s.draws) as x (lot_id, amount)
    group by x.lot_id
  ) as d
  -- One by one, by their key: joined, all lots would be read for each account.
  left join lateral (select l.* from credits.lots as l where l.id = d.lot_id offset 0) as l on true
  where (l.remaining, l.account_id, l.owner_id) is distinct from (d.remaining, p_account.id, p_account.owner_id)
    or l.remaining > l.amount
    or (not l.is_spent and l.expires_at < coalesce(p_account.next_expiry_at, 'infinity'))
$$;

create function credits.account_violations(
  p_account credits.accounts, p_lots bigint, p_odd_lots bigint, p_proved credits.checkpoints, p_full boolean
)
returns setof credits.violation
language plpgsql
stable
set search_path = ''
as $$
-- What is wrong with one account: since its checkpoint, or in full, and then what was proved must still be there. The
-- account, its checkpoint and its lots were read in one statement; entries beyond its head are younger than that and
-- not looked at.
declare
  v_sign constant bigint := case p_account.kind when 'owed' then -1 else 1 end;
  v_start constant credits.checkpoints := case when not p_full then p_proved end;
  v_from constant bigint := coalesce(v_start.number, 0);
  v_entries record;
begin
  select count(*) as count,
    coalesce(sum(c.amount), 0) * v_sign + coalesce(v_start.balance, 0) as balance,
    count(*) = p_account.entry_count - v_from
      and coalesce((array_agg(c.hash order by c.number desc))[1], v_start.hash, '\x') = p_account.head_hash
      and coalesce(bool_and(
        c.number = c.expected_number
        and c.hash = credits.entry_hash(c.previous_hash, c.transfer, c.account_id, c.number, c.balance_after)
        and c.balance_after = coalesce(v_start.balance, 0) + v_sign * c.running_sum
      ), true)
      and (
        not p_full or coalesce(p_proved.number, 0) = 0
        or coalesce(bool_or(c.number = p_proved.number and c.hash = p_proved.hash), false)
      ) as is_chained
  into v_entries
  from (
    select e.*, t as transfer,
      v_from + row_number() over (order by e.number) as expected_number,
      lag(e.hash, 1, coalesce(v_start.hash, '\x')) over (order by e.number) as previous_hash,
      sum(e.amount) over (order by e.number) as running_sum
    from credits.entries as e
    join credits.transfers as t on t.id = e.transfer_id
    where e.account_id = p_account.id and e.number > v_from and e.number <= p_account.entry_count
  ) as c;

  if not v_entries.is_chained then
    return next row('broken_chain', p_account.id::text, jsonb_build_object(
      'entries', v_entries.count, 'expected', p_account.entry_count - v_from
    ))::credits.violation;
  end if;
  if v_entries.balance <> p_account.balance then
    return next row('balance_differs', p_account.id::text, jsonb_build_object(
      'balance', p_account.balance, 'entries', v_entries.balance
    ))::credits.violation;
  end if;
  if p_account.kind = 'available' and (p_lots <> p_account.balance or p_odd_lots is not null) then
    return next row('lots_differ', p_account.id::text, jsonb_strip_nulls(jsonb_build_object(
      'balance', p_account.balance, 'lots', p_lots, 'odd_lots', p_odd_lots
    )))::credits.violation;
  end if;
end;
$$;

create function credits.reconcile(p_full boolean default false)
returns setof credits.violation
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_now constant timestamptz := core.now();
  -- A transaction that was open at the last proof may have written transfers with an earlier time since.
  v_since constant timestamptz := case when p_full then '-infinity' else coalesce(
    (select max(p.proved_until) - interval '10 minutes' from credits.proofs as p where p.violations = 0), '-infinity'
  ) end;
  v_row record;
  v_violation credits.violation;
  v_is_clean boolean;
  v_found bigint := 0;
begin
  for v_violation in
    select 'unbalanced_transfer', t.id::text, jsonb_build_object(
      'kind', t.kind, 'amount', t.amount, 'from_account_id', t.from_account_id, 'to_account_id', t.to_account_id
    )
    from credits.transfers as t
    left join credits.accounts as f on f.id = t.from_account_id
    left join credits.accounts as d on d.id = t.to_account_id
    left join credits.transfers as h on h.id = t.reverses_id and h.kind = 'hold'
    left join credits.postings as p on p.id = t.posting_id
    where t.created_at >= v_since and (
      f.id is null or d.id is null or f.unit <> d.unit
      or not credits.is_route(t.kind, f.kind, d.kind)
      or coalesce(f.owner_id, t.owner_id) <> t.owner_id or coalesce(d.owner_id, t.owner_id) <> t.owner_id
      or num_nonnulls(t.from_number, t.from_balance, t.from_hash) <> case when f.owner_id is null then 0 else 3 end
      or num_nonnulls(t.to_number, t.to_balance, t.to_hash) <> case when d.owner_id is null then 0 else 3 end
      or p.owner_id is distinct from case when t.posting_id is not null then t.owner_id end
      -- No hash is over a capture, which has no user's side.
      or t.kind in ('capture', 'release') and (
        (t.amount, t.from_account_id, t.job_id, t.posting_id)
          is distinct from (h.amount, h.to_account_id, h.job_id, null::bigint)
        or case
          when t.kind = 'capture' then
            (t.to_account_id, t.owner_id, t.draws) is distinct from (credits.system_account('revenue'), h.owner_id, '{}')
          when t.to_account_id = h.from_account_id then (t.owner_id, t.draws) is distinct from (h.owner_id, h.draws)
          -- To whom the account was merged into since.
          else not credits.is_heir(h.owner_id, t.owner_id)
            or t.draws is distinct from credits.successors(h.draws, t.to_account_id)
        end
        or t.created_at < h.created_at
      )
    )
    union all
    -- What leaves a guest's accounts comes to the heir's, in the same moment.
    select 'unbalanced_transfer', coalesce(t.reverses_id, t.id)::text, jsonb_build_object('kind', 'merge', 'halves', count(*))
    from credits.transfers as t
    where t.kind = 'merge' and t.created_at >= v_since
    group by coalesce(t.reverses_id, t.id)
    having count(*) <> 2 or count(t.reverses_id) <> 1 or min(t.amount) <> max(t.amount)
      or count(*) filter (where t.to_account_id = credits.system_account('merging')) <> 1
      or not credits.is_heir(
        (array_agg(t.owner_id) filter (where t.reverses_id is null))[1],
        (array_agg(t.owner_id) filter (where t.reverses_id is not null))[1]
      )
    union all
    -- It was proved, so it was there.
    select 'broken_chain', c.account_id::text, jsonb_build_object('entries', 0, 'expected', c.number)
    from credits.checkpoints as c
    where not exists (select from credits.accounts as a where a.id = c.account_id)
    union all
    select h.violation, h.subject, h.details from videos.hold_violations(v_since) as h
  loop
    v_found := v_found + 1;
    return next v_violation;
  end loop;

  for v_row in
    select a as account, c as proved,
      (select coalesce(sum(l.remaining), 0) from credits.lots as l where l.account_id = a.id and not l.is_spent)::bigint as lots,
      case when p_full and a.kind = 'available' then nullif(credits.odd_lots(a), 0) end as odd_lots
    from credits.accounts as a
    left join credits.checkpoints as c on c.account_id = a.id
    where a.owner_id is not null and (
      p_full
      or (a.entry_count, a.head_hash, a.balance) is distinct from
        (coalesce(c.number, 0), coalesce(c.hash, '\x'), coalesce(c.balance, 0))
    )
  loop
    v_is_clean := true;
    for v_violation in
      select v.* from credits.account_violations(
        v_row.account, v_row.lots, v_row.odd_lots, v_row.proved, p_full
      ) as v
    loop
      v_is_clean := false;
      v_found := v_found + 1;
      return next v_violation;
    end loop;
    if v_is_clean then
      insert into credits.checkpoints as c (account_id, number, hash, balance)
      values ((v_row.account).id, (v_row.account).entry_count, (v_row.account).head_hash, (v_row.account).balance)
      on conflict (account_id) do update
        set number = excluded.number, hash = excluded.hash, balance = excluded.balance;
    end if;
  end loop;

  insert into credits.proofs (proved_until, violations) values (v_now, v_found);
end;
$$;
comment on function credits.reconcile(boolean) is
  'Proves the ledger: a row for each violation, none when all holds. From the last proved entry on, or in full.
unbalanced_transfer (a side is of an account that is not its owner''s or not of its kind, its posting is gone, the end of a
hold is not that of the hold, or a merge has one half), broken_chain (of entries, with all that their transfers say, or what was proved is gone),
balance_differs (from the entries), lots_differ (from the balance, or in full from what was drawn of each), and those of
videos.hold_violations.
An account that is clean gets its checkpoint; one that is not is looked at again. Nothing that a posting needs is locked.';

create function credits.rebuild_balances()
returns table (account_id bigint, balance_before bigint, balance_after bigint)
language plpgsql
volatile
set search_path = ''
as $$
begin
  -- A posting holds a row of accounts from its first step on, so a weaker mode would wait for it in a circle.
  lock table credits.accounts, credits.lots in exclusive mode;
  alter table credits.accounts disable trigger only_by_transfer;
  alter table credits.lots disable trigger only_by_transfer;

  update credits.lots as l
  set remaining = d.remaining
  from (
    select x.lot_id, sum(x.amount * case s.account_id when t.to_account_id then 1 when t.from_account_id then -1 else 0 end) as remaining
    from credits.transfers as t
    cross join lateral unnest(t.draws) as x (lot_id, amount)
    join credits.lots as s on s.id = x.lot_id
    group by x.lot_id
  ) as d
  where d.lot_id = l.id and d.remaining <> l.remaining;

  return query
  with truth as (
    select a.id, a.balance,
      coalesce(sum(e.amount), 0) * case a.kind when 'owed' then -1 else 1 end as entries,
      count(e.number) as count,
      coalesce((array_agg(e.hash order by e.number desc))[1], '\x') as head
    from credits.accounts as a
    left join credits.entries as e on e.account_id = a.id
    where a.owner_id is not null
    group by a.id
  ),
  mended as (
    update credits.accounts as a
    set balance = t.entries, entry_count = t.count, head_hash = t.head
    from truth as t
    where t.id = a.id and (a.balance, a.entry_count, a.head_hash) is distinct from (t.entries, t.count, t.head)
    returning a.id, a.balance
  )
  select m.id, t.balance::bigint, m.balance::bigint
  from mended as m
  join truth as t on t.id = m.id;

  alter table credits.accounts enable trigger only_by_transfer;
  alter table credits.lots enable trigger only_by_transfer;
end;
$$;
comment on function credits.rebuild_balances() is
  'Puts balances, heads and lots right from the entries and transfers, which are the truth, and returns the accounts whose
balance was not. For after a repair by hand: it stops all postings while it runs, and lifts the guard that lets nobody
else touch a balance.';
