create function credits.add(
  p_owner_id uuid, p_amount bigint, p_kind credits.transfer_kind, p_idempotency_key text,
  p_expires_at timestamptz default null, p_job_id uuid default null
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Adds a lot of credits: `{ transfer_id, credits_remaining }`. Grants and adjustments come from `grants`,
-- purchases from `purchases`, refunds from `revenue`. A second call with the key returns the first result.
-- Locks: account → lots.
declare
  v_account credits.accounts;
  v_request constant jsonb := jsonb_build_object(
    'call', 'add', 'owner_id', p_owner_id, 'amount', p_amount, 'kind', p_kind,
    -- As text it would depend on the session's time zone.
    'expires_at', extract(epoch from p_expires_at), 'job_id', p_job_id
  );
  v_outcome jsonb;
  v_now timestamptz;
  v_lot_id bigint;
  v_posting_id bigint;
  v_transfer_id constant uuid := core.new_id();
  v_owed bigint;
begin
  perform credits.check_amount(p_amount);
  if p_kind not in ('grant', 'purchase', 'refund', 'adjustment') then
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
  v_owed := credits.owed(p_owner_id);
  v_outcome := jsonb_build_object(
    'transfer_id', v_transfer_id,
    'credits_remaining',
    case when v_account.closed_at is null then v_account.balance + greatest(0, p_amount - v_owed) else 0 end
  );
  v_posting_id := credits.record_posting(p_idempotency_key, p_owner_id, v_request, v_outcome, v_now);

  insert into credits.lots (account_id, owner_id, expires_at, amount, remaining)
  values (v_account.id, p_owner_id, p_expires_at, p_amount, 0)
  returning id into v_lot_id;
  insert into credits.transfers (
    id, posting_id, owner_id, kind, from_account_id, to_account_id, amount, job_id, draws, created_at
  )
  values (
    v_transfer_id, v_posting_id, p_owner_id, p_kind,
    credits.system_account(
      (case p_kind when 'purchase' then 'purchases' when 'refund' then 'revenue' else 'grants' end)::credits.account_kind
    ),
    v_account.id, p_amount, p_job_id, array[row(v_lot_id, p_amount)::credits.draw], v_now
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
    perform credits.record_posting(p_idempotency_key, p_owner_id, v_request, v_outcome, v_now);
    return v_outcome;
  end if;
  v_outcome := jsonb_build_object(
    'transfer_id', v_transfer_id, 'credits_remaining', v_account.balance - p_amount
  );
  v_posting_id := credits.record_posting(p_idempotency_key, p_owner_id, v_request, v_outcome, v_now);
  insert into credits.transfers (
    id, posting_id, owner_id, kind, from_account_id, to_account_id, amount, draws, created_at
  )
  values (
    v_transfer_id, v_posting_id, p_owner_id, 'adjustment', v_account.id, credits.system_account('grants'), p_amount,
    credits.choose_lots(v_account.id, p_amount), v_now
  );
  return v_outcome;
end;
$$;

create function credits.hold(p_account credits.accounts, p_amount bigint, p_job_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Moves a job's price into escrow, for an account that credits.lock_account has just given to the caller:
-- `{ transfer_id, credits_remaining }`, or `{ error: "insufficient_credits", current_credits }` with nothing moved and
-- the key burned. The key is the job: a job has one hold, and a second call returns the first result. Locks: lots.
declare
  v_key constant text := 'hold:' || p_job_id;
  v_request constant jsonb := jsonb_build_object('call', 'hold', 'owner_id', p_account.owner_id, 'amount', p_amount);
  v_outcome jsonb;
  v_now constant timestamptz := core.now();
  v_posting_id bigint;
  v_transfer_id constant uuid := core.new_id();
begin
  perform credits.check_amount(p_amount);
  v_outcome := case
    when p_account.balance < p_amount
      then jsonb_build_object('error', 'insufficient_credits', 'current_credits', p_account.balance)
    else jsonb_build_object('transfer_id', v_transfer_id, 'credits_remaining', p_account.balance - p_amount)
  end;
  -- A job is nearly always new, so its key is not looked up before it is written.
  insert into credits.postings (idempotency_key, owner_id, request, outcome, created_at)
  values (v_key, p_account.owner_id, v_request, v_outcome, v_now)
  on conflict (idempotency_key) do nothing
  returning id into v_posting_id;
  if v_posting_id is null then
    return credits.first_outcome(v_key, v_request);
  end if;
  if not v_outcome ? 'error' then
    insert into credits.transfers (
      id, posting_id, owner_id, kind, from_account_id, to_account_id, amount, job_id, draws, created_at
    )
    values (
      v_transfer_id, v_posting_id, p_account.owner_id, 'hold', p_account.id, credits.system_account('escrow'), p_amount,
      p_job_id, credits.choose_lots(p_account.id, p_amount), v_now
    );
  end if;
  return v_outcome;
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
-- A lot that expired while it was held lives 24 hours more, so that a failure costs nobody their credits.
-- Locks: account → lots.
declare
  v_key constant text := format('%s:%s', p_kind, p_job_id);
  v_request constant jsonb := jsonb_build_object('call', p_kind);
  v_hold credits.transfers;
  v_owner_id uuid;
  v_account credits.accounts;
  v_outcome jsonb;
  v_now timestamptz;
  v_posting_id bigint;
  v_transfer_id constant uuid := core.new_id();
begin
  if p_kind not in ('capture', 'release') then
    raise exception 'a hold ends by capture or release, not by %', p_kind using errcode = 'invalid_parameter_value';
  end if;
  select t.* into strict v_hold from credits.transfers as t where t.job_id = p_job_id and t.kind = 'hold';
  select a.owner_id into strict v_owner_id from credits.accounts as a where a.id = v_hold.from_account_id;
  v_account := credits.lock_account(v_owner_id);
  v_outcome := credits.first_outcome(v_key, v_request);
  if v_outcome is not null then
    return v_outcome;
  end if;
  v_now := core.now();

  if exists (
    select from credits.transfers as t
    where t.reverses_id = v_hold.id and t.kind in ('capture', 'release')
  ) then
    v_outcome := '{"error": "already_ended"}';
    perform credits.record_posting(v_key, v_owner_id, v_request, v_outcome, v_now);
    return v_outcome;
  end if;
  v_outcome := jsonb_build_object('transfer_id', v_transfer_id, 'amount', v_hold.amount);
  v_posting_id := credits.record_posting(v_key, v_owner_id, v_request, v_outcome, v_now);

  if p_kind = 'capture' then
    insert into credits.transfers (
      id, posting_id, owner_id, kind, from_account_id, to_account_id, amount, job_id, reverses_id, created_at
    )
    values (
      v_transfer_id, v_posting_id, v_owner_id, 'capture', v_hold.to_account_id, credits.system_account('revenue'),
      v_hold.amount, p_job_id, v_hold.id, v_now
    );
    return v_outcome;
  end if;

  perform credits.revive_lots(v_account.id, v_hold.draws, v_now);
  insert into credits.transfers (
    id, posting_id, owner_id, kind, from_account_id, to_account_id, amount, job_id, reverses_id, draws, created_at
  )
  values (
    v_transfer_id, v_posting_id, v_owner_id, 'release', v_hold.to_account_id, v_account.id, v_hold.amount, p_job_id,
    v_hold.id, v_hold.draws, v_now
  );
  perform credits.note_next_expiry(v_account.id);
  perform credits.settle_account(v_posting_id, v_account, v_now);
  return v_outcome;
end;
$$;

-- The job was delivered: its hold becomes revenue.
create function credits.capture(p_job_id uuid)
returns jsonb
language sql
volatile
set search_path = ''
as $$ select credits.end_hold(p_job_id, 'capture') $$;

-- The job was not delivered: its hold goes back where it came from.
create function credits.release(p_job_id uuid)
returns jsonb
language sql
volatile
set search_path = ''
as $$ select credits.end_hold(p_job_id, 'release') $$;
