create function credits.add(
  p_owner_id uuid, p_amount bigint, p_kind credits.transfer_kind, p_idempotency_key text,
  p_expires_at timestamptz default null, p_job_id uuid default null, p_is_sandbox boolean default false
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Adds a lot of credits: `{ transfer_id, credits_remaining }`. Grants and adjustments come from `grants`,
-- purchases from `purchases` or `sandbox`, refunds from `revenue`. The refund of a job gives back as credits of the sandbox
-- what is more than others paid for it. What is for a merged account is its heir's. A second call with the key returns the
-- first result. Locks: account → lots.
declare
  v_account credits.accounts;
  v_request constant jsonb := jsonb_build_object(
    'call', 'add', 'owner_id', p_owner_id, 'amount', p_amount, 'kind', p_kind,
    -- As text it would depend on the session's time zone.
    'expires_at', extract(epoch from p_expires_at), 'job_id', p_job_id
  ) || case when p_is_sandbox then '{"is_sandbox": true}' else '{}' end::jsonb;
  v_outcome jsonb;
  v_now timestamptz;
  v_lot_id bigint;
  v_draws credits.draw[] := '{}';
  v_posting_id bigint;
  v_transfer_id constant uuid := core.new_id();
  -- How much of it is of the sandbox.
  v_sandbox bigint := case when p_is_sandbox then p_amount else 0 end;
  v_part record;
begin
  perform credits.check_amount(p_amount);
  if p_kind not in ('grant', 'purchase', 'refund', 'adjustment') or (p_is_sandbox and p_kind <> 'purchase') then
    raise exception 'credits are not added by a %', p_kind using errcode = 'invalid_parameter_value';
  end if;
  v_account := credits.lock_account(p_owner_id);
  v_outcome := credits.first_outcome(p_idempotency_key, v_request);
  if v_outcome is not null then
    return v_outcome;
  end if;
  v_now := core.now();
  if p_expires_at <= v_now then
    raise exception 'a lot cannot expire before it is made' using errcode = 'invalid_parameter_value';
  end if;

  -- The posting states its outcome when it is written, so what it will come to is computed first.
  if p_kind = 'refund' and p_job_id is not null then
    v_sandbox := greatest(0, p_amount - credits.paid_for(p_job_id));
  end if;
  v_outcome := jsonb_build_object(
    'transfer_id', v_transfer_id,
    'credits_remaining',
    case when v_account.closed_at is not null then 0
      else v_account.balance + v_sandbox + greatest(0, p_amount - v_sandbox - credits.owed(v_account.owner_id)) end
  );
  v_posting_id := credits.record_posting(p_idempotency_key, v_account.owner_id, v_request, v_outcome, v_now);

  for v_part in
    select a.amount, a.is_sandbox from (values (p_amount - v_sandbox, false), (v_sandbox, true)) as a (amount, is_sandbox)
    where a.amount > 0
  loop
    insert into credits.lots (account_id, owner_id, expires_at, amount, remaining, is_sandbox)
    values (v_account.id, v_account.owner_id, p_expires_at, v_part.amount, 0, v_part.is_sandbox)
    returning id into v_lot_id;
    v_draws := v_draws || row(v_lot_id, v_part.amount)::credits.draw;
  end loop;
  insert into credits.transfers (
    id, posting_id, owner_id, kind, from_account_id, to_account_id, amount, job_id, draws, created_at
  )
  values (
    v_transfer_id, v_posting_id, v_account.owner_id, p_kind,
    credits.system_account(
      (case
        when p_is_sandbox then 'sandbox' when p_kind = 'purchase' then 'purchases'
        when p_kind = 'refund' then 'revenue' else 'grants'
      end)::credits.account_kind
    ),
    v_account.id, p_amount, p_job_id, v_draws, v_now
  );
  if p_expires_at is not null then
    update credits.accounts as a
    set next_expiry_at = least(a.next_expiry_at, p_expires_at)
    where a.id = v_account.id;
  end if;
  perform credits.settle_account(v_posting_id, v_account, v_now);
  return v_outcome;
end;
$$;

create function credits.deduct(p_owner_id uuid, p_amount bigint, p_idempotency_key text)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Takes credits away by an operator's word: `{ transfer_id, credits_remaining }`, or
-- `{ error: "insufficient_credits", current_credits }` with nothing moved and the key burned.
-- Locks: account → lots.
declare
  v_account credits.accounts;
  v_request constant jsonb := jsonb_build_object('call', 'deduct', 'owner_id', p_owner_id, 'amount', p_amount);
  v_outcome jsonb;
  v_now timestamptz;
  v_posting_id bigint;
  v_transfer_id constant uuid := core.new_id();
begin
  perform credits.check_amount(p_amount);
  v_account := credits.lock_account(p_owner_id);
  v_outcome := credits.first_outcome(p_idempotency_key, v_request);
  if v_outcome is not null then
    return v_outcome;
  end if;
  v_now := core.now();

  if v_account.balance < p_amount then
    v_outcome := jsonb_build_object('error', 'insufficient_credits', 'current_credits', v_account.balance);
    perform credits.record_posting(p_idempotency_key, v_account.owner_id, v_request, v_outcome, v_now);
    return v_outcome;
  end if;
  v_outcome := jsonb_build_object(
    'transfer_id', v_transfer_id, 'credits_remaining', v_account.balance - p_amount
  );
  v_posting_id := credits.record_posting(p_idempotency_key, v_account.owner_id, v_request, v_outcome, v_now);
  insert into credits.transfers (
    id, posting_id, owner_id, kind, from_account_id, to_account_id, amount, draws, created_at
  )
  values (
    v_transfer_id, v_posting_id, v_account.owner_id, 'adjustment', v_account.id, credits.system_account('grants'), p_amount,
    credits.choose_lots(v_account.id, p_amount), v_now
  );
  return v_outcome;
end;
$$;

create function credits.place_hold(p_account credits.accounts, p_amount bigint, p_job_id uuid)
returns uuid
language plpgsql
volatile
set search_path = ''
as $$
-- Moves the price of a job that is new into escrow, of an account that credits.lock_account has just given to the caller,
-- and that has enough: the transfer. Raises unique_violation for a job that has a hold. Locks: lots.
declare
  v_transfer_id constant uuid := core.new_id();
begin
  insert into credits.transfers (
    id, owner_id, kind, from_account_id, to_account_id, amount, job_id, draws, created_at
  )
  values (
    v_transfer_id, p_account.owner_id, 'hold', p_account.id, credits.system_account('escrow'), p_amount, p_job_id,
    credits.choose_lots(p_account.id, p_amount), core.now()
  );
  return v_transfer_id;
end;
$$;

create function credits.hold(p_account credits.accounts, p_amount bigint, p_job_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- credits.place_hold for a job that may have one, and an account that may have too little:
-- `{ transfer_id, credits_remaining }`, or `{ error: "insufficient_credits", current_credits }` with nothing moved and
-- the key burned. The key is the job: a second call returns the first result. Locks: lots.
declare
  v_key constant text := 'hold:' || p_job_id;
  v_request constant jsonb := jsonb_build_object('call', 'hold', 'owner_id', p_account.owner_id, 'amount', p_amount);
  v_hold credits.transfers;
  v_outcome jsonb;
begin
  perform credits.check_amount(p_amount);
  select t.* into v_hold from credits.transfers as t where t.job_id = p_job_id and t.kind = 'hold';
  if found then
    if v_hold.from_account_id <> p_account.id or v_hold.amount <> p_amount then
      raise exception 'idempotency key % was used for another posting', v_key using errcode = 'invalid_parameter_value';
    end if;
    return jsonb_build_object('transfer_id', v_hold.id, 'credits_remaining', v_hold.from_balance);
  end if;
  -- One that was refused has a posting, and no transfer.
  v_outcome := credits.first_outcome(v_key, v_request);
  if v_outcome is not null then
    return v_outcome;
  end if;
  if p_account.balance < p_amount then
    v_outcome := jsonb_build_object('error', 'insufficient_credits', 'current_credits', p_account.balance);
    perform credits.record_posting(v_key, p_account.owner_id, v_request, v_outcome, core.now());
    return v_outcome;
  end if;
  return jsonb_build_object(
    'transfer_id', credits.place_hold(p_account, p_amount, p_job_id),
    'credits_remaining', p_account.balance - p_amount
  );
end;
$$;

create function credits.end_hold(p_job_id uuid, p_kind credits.transfer_kind)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Ends the hold of a job: `capture` moves all of it to revenue, `release` back into the lots it came from.
-- `{ transfer_id, amount }`; a second call of the same kind returns the first result; after the other kind
-- `{ error: "already_ended" }`. Raises no_data_found for a job without a hold.
-- A lot that expired while it was held lives 24 hours more, so that a failure costs nobody their credits. Of an account
-- that was merged since, it goes into the lots' successors.
-- Locks: account → lots.
declare
  v_hold credits.transfers;
  v_end credits.transfers;
  v_account credits.accounts;
  v_now timestamptz;
  v_draws credits.draw[];
  v_transfer_id constant uuid := core.new_id();
begin
  if p_kind not in ('capture', 'release') then
    raise exception 'a hold ends by capture or release, not by %', p_kind using errcode = 'invalid_parameter_value';
  end if;
  select t.* into strict v_hold from credits.transfers as t where t.job_id = p_job_id and t.kind = 'hold';
  v_account := credits.lock_account(v_hold.owner_id);
  -- It ends once, so its end stays what it is: no key needs to be burned for the other kind.
  select t.* into v_end
  from credits.transfers as t
  where t.reverses_id = v_hold.id and t.kind in ('capture', 'release');
  if found then
    return case
      when v_end.kind = p_kind then jsonb_build_object('transfer_id', v_end.id, 'amount', v_end.amount)
      else '{"error": "already_ended"}'
    end;
  end if;

  v_now := core.now();
  if p_kind = 'capture' then
    insert into credits.transfers (
      id, owner_id, kind, from_account_id, to_account_id, amount, job_id, reverses_id, created_at
    )
    values (
      v_transfer_id, v_hold.owner_id, 'capture', v_hold.to_account_id, credits.system_account('revenue'),
      v_hold.amount, p_job_id, v_hold.id, v_now
    );
  else
    v_draws := case
      when v_account.id = v_hold.from_account_id then v_hold.draws
      else credits.successors(v_hold.draws, v_account.id)
    end;
    perform credits.revive_lots(v_account.id, v_draws, v_now);
    insert into credits.transfers (
      id, owner_id, kind, from_account_id, to_account_id, amount, job_id, reverses_id, draws, created_at
    )
    values (
      v_transfer_id, v_account.owner_id, 'release', v_hold.to_account_id, v_account.id, v_hold.amount, p_job_id, v_hold.id,
      v_draws, v_now
    );
    perform credits.pay_own_debts(v_account, v_draws, v_now, p_job_id);
    perform credits.note_next_expiry(v_account.id);
    perform credits.settle_account(null, v_account, v_now, p_job_id);
  end if;
  return jsonb_build_object('transfer_id', v_transfer_id, 'amount', v_hold.amount);
end;
$$;

-- The job was delivered: its hold becomes revenue.
create function credits.capture(p_job_id uuid)
returns jsonb
language sql
volatile
return credits.end_hold(p_job_id, 'capture');

-- The job was not delivered: its hold goes back where it came from.
create function credits.release(p_job_id uuid)
returns jsonb
language sql
volatile
return credits.end_hold(p_job_id, 'release');
