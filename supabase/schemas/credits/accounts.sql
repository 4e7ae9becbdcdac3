-- Gives a user an account; a second call changes nothing.
create function credits.open_account(p_owner_id uuid, p_owner_kind core.owner_kind default 'user')
returns void
language sql
volatile
set search_path = ''
as $$
  insert into credits.accounts (kind, owner_kind, owner_id, balance)
  values ('available', p_owner_kind, p_owner_id, 0)
  on conflict do nothing
$$;

create function credits.owed(p_owner_id uuid)
returns bigint
language plpgsql
stable
set search_path = ''
as $$
-- A user's debt: credits taken back after they were spent.
begin
  return coalesce((
    select a.balance from credits.accounts as a where a.owner_id = p_owner_id and a.kind = 'owed' and a.unit = 'credit'
  ), 0);
end;
$$;

create function credits.spendable(p_account credits.accounts)
returns bigint
language plpgsql
stable
set search_path = ''
as $$
-- What can be spent of an account that is not locked: what has expired is none of it, whether it is booked or not. Null without one.
declare
  v_now constant timestamptz := core.now();
begin
  return (p_account).balance - case when (p_account).next_expiry_at <= v_now then (
    select coalesce(sum(l.remaining), 0) from credits.lots as l
    where l.account_id = (p_account).id and not l.is_spent and l.expires_at <= v_now
  ) else 0 end;
end;
$$;

-- The platform's own account of a kind.
create function credits.system_account(p_kind credits.account_kind)
returns bigint
language sql
immutable
-- Their ids are given where they are made, in the order of the names.
return case p_kind
  when 'grants' then 1 when 'purchases' then 2 when 'escrow' then 3 when 'revenue' then 4 when 'breakage' then 5
  when 'forfeited' then 6 when 'sandbox' then 7 when 'merging' then 8
end;

-- Whether it is one of those.
create function credits.is_system_account(p_account_id bigint)
returns boolean
language sql
immutable
return p_account_id between 1 and 8;

create function credits.first_outcome(p_idempotency_key text, p_request jsonb)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
-- What the first call under a key came to; null for a new key. The same key with another request raises
-- invalid_parameter_value: keys are made by our procedures, so that is a bug and not a caller's refusal.
declare
  v_posting credits.postings;
begin
  select p.* into v_posting from credits.postings as p where p.idempotency_key = p_idempotency_key;
  if not found then
    return null;
  end if;
  if v_posting.request <> p_request then
    raise exception 'idempotency key % was used for another posting', p_idempotency_key
      using errcode = 'invalid_parameter_value';
  end if;
  return v_posting.outcome;
end;
$$;

-- Writes a posting with what it came to; its transfers follow in the same transaction.
create function credits.record_posting(
  p_idempotency_key text, p_owner_id uuid, p_request jsonb, p_outcome jsonb, p_now timestamptz
)
returns bigint
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_id bigint;
begin
  insert into credits.postings (idempotency_key, owner_id, request, outcome, created_at)
  values (p_idempotency_key, p_owner_id, p_request, p_outcome, p_now)
  returning id into v_id;
  return v_id;
end;
$$;

-- Who paid for a job, which it keeps when they become somebody else; null for a job without a hold.
create function credits.hold_owner(p_job_id uuid)
returns uuid
language sql
stable
return (select t.owner_id from credits.transfers as t where t.job_id = p_job_id and t.kind = 'hold');

-- Raises 22003 for what no posting may move.
create function credits.check_amount(p_amount bigint)
returns void
language plpgsql
immutable
set search_path = ''
as $$
begin
  if p_amount is null or p_amount < 1 or p_amount > 1000000000 then
    raise exception 'an amount is 1 to 1000000000 credits, not %', p_amount
      using errcode = 'numeric_value_out_of_range';
  end if;
end;
$$;

create function credits.lock_account(p_owner_id uuid)
returns credits.accounts
language plpgsql
volatile
set search_path = ''
as $$
-- Locks the user's account for the rest of the transaction, books what has expired as breakage, and returns
-- the account, whose balance is then what can be spent. Raises no_data_found where the user has no account.
-- Of a merged account that is its heir's, of whom nobody ever waits for a guest's: whoever has an heir's account finds the
-- guest's merged, and passes it over. Locks: account, then the expired lots.
declare
  v_account credits.accounts;
  v_owner_id uuid := p_owner_id;
  v_heir_id uuid;
  v_now timestamptz;
  v_draws credits.draw[];
  v_amount bigint;
  v_posting_id bigint;
begin
  loop
    select a.* into v_account
    from credits.accounts as a
    where a.owner_id = v_owner_id and a.kind = 'available' and a.unit = 'credit' and a.merged_into is null
    for update;
    exit when found;
    select a.merged_into into strict v_heir_id
    from credits.accounts as a
    where a.owner_id = v_owner_id and a.kind = 'available' and a.unit = 'credit';
    v_owner_id := coalesce(v_heir_id, v_owner_id);
  end loop;

  v_now := core.now();
  if v_account.next_expiry_at is null or v_account.next_expiry_at > v_now then
    return v_account;
  end if;

  -- All of them at once, in transfers that no amount is too large for.
  loop
    select array_agg(row(l.id, l.remaining)::credits.draw order by l.id), sum(l.remaining)
    into v_draws, v_amount
    from (
      select e.id, e.remaining, sum(e.remaining) over (order by e.id) as total
      from credits.lots as e
      where e.account_id = v_account.id and not e.is_spent and e.expires_at <= v_now
    ) as l
    where l.total <= 1000000000;
    exit when v_draws is null;
    -- The number of its entry: an account has it once.
    v_account.entry_count := v_account.entry_count + 1;
    v_posting_id := credits.record_posting(
      format('expiry:%s:%s', v_account.id, v_account.entry_count), v_account.owner_id,
      jsonb_build_object('call', 'expire', 'lots', cardinality(v_draws)), jsonb_build_object('expired', v_amount), v_now
    );
    insert into credits.transfers (
      posting_id, owner_id, kind, from_account_id, to_account_id, amount, draws, created_at
    )
    values (
      v_posting_id, v_account.owner_id, 'expiry', v_account.id, credits.system_account('breakage'), v_amount, v_draws, v_now
    );
  end loop;

  perform credits.note_next_expiry(v_account.id);
  select a.* into v_account from credits.accounts as a where a.id = v_account.id;
  return v_account;
end;
$$;

create function credits.settle_account(
  p_posting_id bigint, p_account credits.accounts, p_now timestamptz, p_job_id uuid default null
)
returns bigint
language plpgsql
volatile
set search_path = ''
as $$
-- What follows whenever credits came in, by a posting or the end of a job: a debt is paid first, and a closed account
-- keeps nothing. Credits of the sandbox pay no debt. Returns the balance after that. The caller holds the account's lock.
declare
  v_draws credits.draw[];
  v_owed credits.accounts;
  v_balance bigint;
  v_due bigint;
  v_amount bigint;
begin
  select a.balance into v_balance from credits.accounts as a where a.id = p_account.id;

  select a.* into v_owed
  from credits.accounts as a
  where a.owner_id = p_account.owner_id and a.kind = 'owed' and a.unit = p_account.unit;
  -- `least` passes over nulls: without the coalesce, no debt would be the whole balance.
  v_due := least(coalesce(v_owed.balance, 0), v_balance);
  -- In transfers that no amount is too large for.
  while v_due > 0 loop
    v_draws := credits.choose_lots_to_pay(p_account.id, least(v_due, 1000000000));
    v_amount := credits.drawn(v_draws);
    exit when v_amount = 0;
    insert into credits.transfers (
      posting_id, owner_id, kind, from_account_id, to_account_id, amount, job_id, draws, created_at
    )
    values (
      p_posting_id, p_account.owner_id, 'debt_payment', p_account.id, v_owed.id, v_amount, p_job_id, v_draws, p_now
    );
    v_due := v_due - v_amount;
    v_balance := v_balance - v_amount;
  end loop;

  while p_account.closed_at is not null and v_balance > 0 loop
    v_amount := least(v_balance, 1000000000);
    insert into credits.transfers (
      posting_id, owner_id, kind, from_account_id, to_account_id, amount, job_id, draws, created_at
    )
    values (
      p_posting_id, p_account.owner_id, 'forfeit', p_account.id, credits.system_account('forfeited'), v_amount, p_job_id,
      credits.choose_lots(p_account.id, v_amount), p_now
    );
    v_balance := v_balance - v_amount;
  end loop;
  return v_balance;
end;
$$;

create function credits.close_account(p_owner_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Closes a user's account for good: what is left is forfeited, and so is whatever comes later, after its debt.
-- `{ forfeited }`; a second call returns the first result. Locks: account → lots.
declare
  v_key constant text := 'close:' || p_owner_id;
  v_request constant jsonb := jsonb_build_object('call', 'close_account', 'owner_id', p_owner_id);
  v_account credits.accounts;
  v_outcome jsonb;
  v_now timestamptz;
  v_posting_id bigint;
begin
  v_account := credits.lock_account(p_owner_id);
  v_outcome := credits.first_outcome(v_key, v_request);
  if v_outcome is not null then
    return v_outcome;
  end if;
  v_now := core.now();
  update credits.accounts as a set closed_at = v_now where a.id = v_account.id returning a.* into v_account;
  v_outcome := jsonb_build_object('forfeited', v_account.balance);
  v_posting_id := credits.record_posting(v_key, p_owner_id, v_request, v_outcome, v_now);
  perform credits.settle_account(v_posting_id, v_account, v_now);
  return v_outcome;
end;
$$;

create function credits.accounts_to_expire(p_limit integer)
returns setof bigint
language plpgsql
stable
set search_path = ''
as $$
-- Accounts with lots that have expired, up to p_limit. Every posting books its own account anyway; this is for those that
-- nothing moves.
declare
  -- Not in the query: a volatile function cannot be looked up in an index.
  v_now constant timestamptz := core.now();
begin
  return query
  select a.id from credits.accounts as a where a.next_expiry_at <= v_now order by a.next_expiry_at limit p_limit;
end;
$$;

create function credits.try_account(p_owner_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Locks a user's account, or raises lock_not_available where somebody has it. Locks: account, not waited for.
begin
  perform from credits.accounts as a
  where a.owner_id = p_owner_id and a.kind = 'available' and a.unit = 'credit'
  for update nowait;
end;
$$;

create function credits.expire_account(p_account_id bigint)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Books what has expired in an account; a second call finds nothing. Raises lock_not_available where somebody has it.
-- Locks: account, not waited for → expired lots.
declare
  v_owner_id uuid;
begin
  select a.owner_id into strict v_owner_id from credits.accounts as a where a.id = p_account_id for update nowait;
  perform credits.lock_account(v_owner_id);
end;
$$;
