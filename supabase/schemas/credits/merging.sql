-- A guest's account becomes a part of another: its heir's.

create function credits.pass_on(
  p_guest_posting_id bigint, p_heir_posting_id bigint, p_guest credits.accounts, p_heir credits.accounts,
  p_draws credits.draw[], p_amount bigint, p_now timestamptz
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Moves an amount between accounts of the same kind: from a guest's lots into their successors, or a debt. A transfer is
-- its owner's alone, so these are two, by way of an account that has nothing in between; the second names the first.
declare
  v_first_id constant uuid := core.new_id();
  v_merging constant bigint := credits.system_account('merging');
  v_is_debt constant boolean := p_guest.kind = 'owed';
begin
  -- A debt goes the other way round.
  insert into credits.transfers (
    id, posting_id, owner_id, kind, from_account_id, to_account_id, amount, draws, created_at
  )
  values (
    v_first_id, p_guest_posting_id, p_guest.owner_id, 'merge', case when v_is_debt then v_merging else p_guest.id end,
    case when v_is_debt then p_guest.id else v_merging end, p_amount, p_draws, p_now
  );
  insert into credits.transfers (
    posting_id, owner_id, kind, from_account_id, to_account_id, amount, reverses_id, draws, created_at
  )
  values (
    p_heir_posting_id, p_heir.owner_id, 'merge', case when v_is_debt then p_heir.id else v_merging end,
    case when v_is_debt then v_merging else p_heir.id end, p_amount, v_first_id,
    credits.successors(p_draws, p_heir.id), p_now
  );
end;
$$;

create function credits.merge(p_guest_id uuid, p_heir_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Makes a guest's account a part of their heir's, for good: `{ moved, owed, credits_remaining }`, what the guest had and
-- owed, and what the heir has after both debts. Each lot, empty ones too, gets a successor with the heir, of the same
-- amount and expiry; from then on whatever is for the guest is the heir's (credits.lock_account), and goes into and comes
-- out of the successors. A second call returns the first result; raises invalid_parameter_value for a guest who was
-- merged into another, for one's own account, and for a closed one. Locks: guest's account → heir's account → lots.
declare
  v_key constant text := 'merge:' || p_guest_id;
  v_request constant jsonb := jsonb_build_object('call', 'merge', 'owner_id', p_guest_id, 'heir_id', p_heir_id);
  v_guest credits.accounts;
  v_heir credits.accounts;
  v_guest_debt credits.accounts;
  v_heir_debt credits.accounts;
  v_outcome jsonb;
  v_now timestamptz;
  v_owed bigint;
  v_payable bigint;
  v_guest_posting_id bigint;
  v_heir_posting_id bigint;
  v_draws credits.draw[];
  v_amount bigint;
begin
  v_guest := credits.lock_account(p_guest_id);
  v_heir := credits.lock_account(p_heir_id);
  v_outcome := credits.first_outcome(v_key, v_request);
  if v_outcome is not null then
    return v_outcome;
  end if;
  if v_guest.owner_id <> p_guest_id or v_heir.owner_id <> p_heir_id or v_guest.id = v_heir.id
    or v_guest.closed_at is not null or v_heir.closed_at is not null
  then
    raise exception 'the account of % cannot be merged into that of %', p_guest_id, p_heir_id
      using errcode = 'invalid_parameter_value';
  end if;
  v_now := core.now();
  v_owed := credits.owed(p_guest_id);
  v_payable := credits.payable(v_guest.id) + credits.payable(v_heir.id);
  v_outcome := jsonb_build_object(
    'moved', v_guest.balance, 'owed', v_owed,
    'credits_remaining', v_guest.balance + v_heir.balance - least(v_payable, v_owed + credits.owed(p_heir_id))
  );
  v_guest_posting_id := credits.record_posting(v_key, p_guest_id, v_request, v_outcome, v_now);
  v_heir_posting_id := credits.record_posting(v_key || ':heir', p_heir_id, v_request, v_outcome, v_now);

  update credits.accounts as a set merged_into = p_heir_id where a.id = v_guest.id;
  insert into credits.lots (account_id, owner_id, descends_from, expires_at, amount, remaining, is_sandbox)
  select v_heir.id, p_heir_id, l.id, l.expires_at, l.amount, 0, l.is_sandbox
  from credits.lots as l
  where l.account_id = v_guest.id
  order by l.id;
  -- In transfers that no amount is too large for.
  loop
    select array_agg(row(l.id, l.remaining)::credits.draw order by l.id), sum(l.remaining)
    into v_draws, v_amount
    from (
      select e.id, e.remaining, sum(e.remaining) over (order by e.id) as total
      from credits.lots as e
      where e.account_id = v_guest.id and not e.is_spent
    ) as l
    where l.total <= 1000000000;
    exit when v_draws is null;
    perform credits.pass_on(v_guest_posting_id, v_heir_posting_id, v_guest, v_heir, v_draws, v_amount, v_now);
  end loop;

  if v_owed > 0 then
    v_heir_debt := credits.open_debt(v_heir);
    select a.* into strict v_guest_debt
    from credits.accounts as a where a.owner_id = p_guest_id and a.kind = 'owed' and a.unit = v_guest.unit;
    while v_owed > 0 loop
      v_amount := least(v_owed, 1000000000);
      perform credits.pass_on(v_guest_posting_id, v_heir_posting_id, v_guest_debt, v_heir_debt, '{}', v_amount, v_now);
      v_owed := v_owed - v_amount;
    end loop;
  end if;
  perform credits.note_next_expiry(v_guest.id);
  perform credits.note_next_expiry(v_heir.id);
  perform credits.settle_account(v_heir_posting_id, v_heir, v_now);
  return v_outcome;
end;
$$;
