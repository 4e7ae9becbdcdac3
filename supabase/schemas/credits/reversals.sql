create function credits.reverse(p_transfer_id uuid, p_idempotency_key text)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Takes back a grant or purchase: what is left of its lot, and what that has paid of debts; the rest is owed, and paid at
-- once of what other lots have. The reverse of a reversal gives back what that took, and what has paid the debt that it left
-- goes back to where it came from; another debt, if there is one, is paid of it.
-- `{ transfer_id, credits_remaining, credits_owed }`, or `{ error: "already_reversed" }` with the key burned. A second
-- call with the key returns the first result. Of an account that was merged since, it takes from the lots' successors, and
-- the debt is the heir's. Raises invalid_parameter_value for other kinds of transfer.
-- Locks: account → lots.
declare
  v_original credits.transfers;
  v_owner_id uuid;
  v_account credits.accounts;
  v_request constant jsonb := jsonb_build_object('call', 'reverse', 'transfer_id', p_transfer_id);
  v_outcome jsonb;
  v_is_undo boolean;
begin
  select t.* into strict v_original from credits.transfers as t where t.id = p_transfer_id;
  v_is_undo := v_original.kind = 'reversal';
  -- A reversal also brings back what expired, or what paid a debt: that follows from others, and has no reverse of its own.
  if v_original.kind not in ('grant', 'purchase', 'reversal') or (v_is_undo and not exists (
    select from credits.transfers as o where o.id = v_original.reverses_id and o.kind in ('grant', 'purchase', 'reversal')
  )) then
    raise exception 'a % cannot be reversed', v_original.kind using errcode = 'invalid_parameter_value';
  end if;
  select a.owner_id into strict v_owner_id
  from credits.accounts as a
  where a.id in (v_original.from_account_id, v_original.to_account_id) and a.owner_id is not null;
  v_account := credits.lock_account(v_owner_id);
  v_outcome := credits.first_outcome(p_idempotency_key, v_request);
  if v_outcome is not null then
    return v_outcome;
  end if;

  -- Both transfers of a reversal count as one: either leads to its posting.
  if exists (
    select from credits.transfers as t
    join credits.transfers as o on o.id = t.reverses_id
    where t.kind = 'reversal'
      and o.posting_id = v_original.posting_id and case when v_is_undo then o.kind = 'reversal' else o.id = v_original.id end
  ) or (v_is_undo and exists (
    select from credits.transfers as t
    join credits.transfers as o on o.id = t.reverses_id
    where t.posting_id = v_original.posting_id and o.kind = 'reversal'
  )) then
    v_outcome := '{"error": "already_reversed"}';
    perform credits.record_posting(p_idempotency_key, v_account.owner_id, v_request, v_outcome, core.now());
    return v_outcome;
  end if;
  if v_is_undo then
    return credits.give_back(v_original.posting_id, v_account, p_idempotency_key, v_request);
  end if;
  return credits.take_back(v_original, v_account, p_idempotency_key, v_request, v_original.amount);
end;
$$;

create function credits.reversals_of(p_transfer_id uuid)
returns table (posting_id bigint, amount bigint)
language sql
stable
set search_path = ''
as $$
  -- Every posting that took something of a purchase back, with what it took, or gave that back, with 0; and 0 for what was
  -- given back since.
  with taken as (
    select t.id, t.posting_id, t.amount from credits.transfers as t where t.reverses_id = p_transfer_id and t.kind = 'reversal'
  ),
  given as (
    select g.posting_id, t.posting_id as of_posting_id
    from taken as t
    join credits.transfers as g on g.reverses_id = t.id and g.kind = 'reversal'
  )
  select t.posting_id, case when t.posting_id in (select g.of_posting_id from given as g) then 0 else t.amount end
  from taken as t
  union all
  select g.posting_id, 0 from given as g
$$;

create function credits.reverse_to(p_transfer_id uuid, p_amount bigint)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Has so much of a purchase taken back, whatever was before: the difference is taken, or whole reversals are given back,
-- the latest first, and then what is too little is taken. What expired of it before is what is taken then, and nothing else
-- in its place. A second call with the amount moves nothing.
-- Locks: account → lots.
declare
  v_original credits.transfers;
  v_account credits.accounts;
  v_reversal record;
  v_postings bigint;
  v_reversed bigint;
  v_request constant jsonb := jsonb_build_object('call', 'reverse_to', 'transfer_id', p_transfer_id, 'amount', p_amount);
begin
  select t.* into strict v_original from credits.transfers as t where t.id = p_transfer_id;
  if v_original.kind <> 'purchase' or p_amount not between 0 and v_original.amount then
    raise exception 'so much of a % cannot be reversed', v_original.kind using errcode = 'invalid_parameter_value';
  end if;
  v_account := credits.lock_account(v_original.owner_id);
  -- Under the lock, so that the number of the next posting is nobody else's.
  select count(distinct r.posting_id), coalesce(sum(r.amount), 0) into v_postings, v_reversed
  from credits.reversals_of(p_transfer_id) as r;
  for v_reversal in
    select r.posting_id, sum(r.amount) as amount
    from credits.reversals_of(p_transfer_id) as r
    where r.amount > 0
    group by r.posting_id
    order by r.posting_id desc
  loop
    exit when v_reversed <= p_amount;
    v_postings := v_postings + 1;
    perform credits.give_back(
      v_reversal.posting_id, v_account, format('reversal:%s:%s', p_transfer_id, v_postings), v_request
    );
    v_reversed := v_reversed - v_reversal.amount;
    v_account := credits.lock_account(v_original.owner_id);
  end loop;
  if v_reversed < p_amount then
    v_account.balance := v_account.balance
      + (credits.restore_expired(p_transfer_id, v_account, p_amount - v_reversed)).restored;
  end if;
  -- Of the sandbox, what is spent stays so: then there is nothing to write down.
  if v_reversed < p_amount and (
    v_original.from_account_id <> credits.system_account('sandbox')
    or exists (select from credits.lots_of(v_original.draws[1].lot_id) as l where not l.is_spent)
  ) then
    perform credits.take_back(
      v_original, v_account, format('reversal:%s:%s', p_transfer_id, v_postings + 1), v_request, p_amount - v_reversed
    );
  end if;
end;
$$;

create function credits.take_back(
  p_original credits.transfers, p_account credits.accounts, p_idempotency_key text, p_request jsonb, p_amount bigint
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- The reversal itself, of an amount of the original; whoever calls has locked the account and asked whether it may be. What
-- its lot has paid of debts counts as not spent: it is taken, and they are owed again. What was bought in the sandbox gives
-- what is left of it, and owes nothing: nobody paid for it.
declare
  v_now constant timestamptz := core.now();
  v_transfer_id constant uuid := core.new_id();
  v_is_sandbox constant boolean := p_original.from_account_id = credits.system_account('sandbox');
  v_lot credits.lots;
  v_taken bigint;
  v_due bigint;
  v_paid bigint;
  v_missing bigint;
  v_outcome jsonb;
  v_posting_id bigint;
begin
  select l.* into strict v_lot
  from credits.lots as l
  where l.id = (credits.successors(p_original.draws, p_account.id))[1].lot_id;
  v_taken := least(v_lot.remaining, p_amount);
  -- The posting states its outcome when it is written, so what it will come to is computed first: what is owed then, and
  -- what the other lots pay of that.
  v_due := credits.owed(p_account.owner_id) + case when v_is_sandbox then 0 else p_amount - v_taken end;
  v_paid := least(v_due, credits.payable(p_account.id) - case when v_is_sandbox then 0 else v_taken end);
  v_outcome := jsonb_build_object(
    'transfer_id', v_transfer_id, 'credits_remaining', p_account.balance - v_taken - v_paid, 'credits_owed', v_due - v_paid
  );
  v_posting_id := credits.record_posting(p_idempotency_key, p_account.owner_id, p_request, v_outcome, v_now);
  v_taken := v_taken + credits.drawn(
    credits.put_back_payments(v_posting_id, p_account, p_amount - v_taken, v_lot.id)
  );
  if v_taken > 0 then
    insert into credits.transfers (
      id, posting_id, owner_id, kind, from_account_id, to_account_id, amount, reverses_id, draws, created_at
    )
    values (
      v_transfer_id, v_posting_id, p_account.owner_id, 'reversal', p_account.id, p_original.from_account_id, v_taken,
      p_original.id, array[row(v_lot.id, v_taken)::credits.draw], v_now
    );
  end if;
  v_missing := case when v_is_sandbox then 0 else p_amount - v_taken end;
  if v_missing > 0 then
    insert into credits.transfers (
      id, posting_id, owner_id, kind, from_account_id, to_account_id, amount, reverses_id, created_at
    )
    values (
      case when v_taken > 0 then core.new_id() else v_transfer_id end,
      v_posting_id, p_account.owner_id, 'reversal', (credits.open_debt(p_account)).id, p_original.from_account_id, v_missing,
      p_original.id, v_now
    );
  end if;
  perform credits.settle_account(v_posting_id, p_account, v_now);
  return v_outcome;
end;
$$;

create function credits.give_back(
  p_posting_id bigint, p_account credits.accounts, p_idempotency_key text, p_request jsonb
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Reverses a reversal: what its lot gave goes back into it, and what became debt is no longer owed. Where other credits have
-- paid that debt since, they go back into their lots. A lot that expired in the meantime lives 24 hours more, as after a
-- release.
declare
  v_now constant timestamptz := core.now();
  v_transfer_id constant uuid := core.new_id();
  v_taken credits.transfers;
  v_owed_part credits.transfers;
  v_source_id bigint;
  v_debt constant bigint := credits.owed(p_account.owner_id);
  v_paid bigint;
  v_amount bigint;
  v_left bigint;
  v_settled bigint;
  v_draws credits.draw[];
  v_outcome jsonb;
  v_posting_id bigint;
begin
  select t.* into v_taken
  from credits.transfers as t
  join credits.accounts as a on a.id = t.from_account_id
  where t.posting_id = p_posting_id and t.kind = 'reversal' and a.kind = 'available';
  -- Not what was put back of payments then, which goes to the user.
  select t.* into v_owed_part
  from credits.transfers as t
  join credits.accounts as a on a.id = t.from_account_id
  join credits.accounts as s on s.id = t.to_account_id and s.owner_id is null
  where t.posting_id = p_posting_id and t.kind = 'reversal' and a.kind = 'owed';
  v_source_id := coalesce(v_taken.to_account_id, v_owed_part.to_account_id);

  v_paid := greatest(0, coalesce(v_owed_part.amount, 0) - v_debt);
  v_amount := coalesce(v_taken.amount, 0) + v_paid;
  v_left := v_debt + v_paid - coalesce(v_owed_part.amount, 0);
  -- Another debt is paid of it.
  v_settled := case when v_source_id = credits.system_account('sandbox') then 0 else least(v_left, v_amount) end;
  v_outcome := jsonb_build_object(
    'transfer_id', v_transfer_id,
    'credits_remaining', case when p_account.closed_at is null then p_account.balance + v_amount - v_settled else 0 end,
    'credits_owed', v_left - v_settled
  );
  v_posting_id := credits.record_posting(p_idempotency_key, p_account.owner_id, p_request, v_outcome, v_now);
  perform credits.revive_lots(p_account.id, credits.put_back_payments(v_posting_id, p_account, v_paid), v_now);
  if v_taken.id is not null then
    v_draws := credits.successors(v_taken.draws, p_account.id);
    perform credits.revive_lots(p_account.id, v_draws, v_now);
    insert into credits.transfers (
      id, posting_id, owner_id, kind, from_account_id, to_account_id, amount, reverses_id, draws, created_at
    )
    values (
      v_transfer_id, v_posting_id, p_account.owner_id, 'reversal', v_source_id, p_account.id, v_taken.amount, v_taken.id,
      v_draws, v_now
    );
  end if;
  if v_owed_part.id is not null then
    insert into credits.transfers (
      id, posting_id, owner_id, kind, from_account_id, to_account_id, amount, reverses_id, created_at
    )
    values (
      case when v_taken.id is not null then core.new_id() else v_transfer_id end, v_posting_id, p_account.owner_id,
      'reversal', v_source_id, (credits.open_debt(p_account)).id, v_owed_part.amount, v_owed_part.id, v_now
    );
  end if;
  perform credits.note_next_expiry(p_account.id);
  perform credits.settle_account(v_posting_id, p_account, v_now);
  return v_outcome;
end;
$$;
