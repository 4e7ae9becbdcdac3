create function ops.begin_credits(
  p_admin_id uuid, p_endpoint text, p_user_id uuid, p_amount bigint,
  out refusal jsonb, out limits jsonb, out account credits.accounts
)
language plpgsql
volatile
set search_path = ''
as $$
-- What is the same for all credits that an admin moves: the limit of requests, that the user is another, exists, and
-- has neither closed the account, which is then locked, nor become somebody else; and that the admin is one still. Locks: rate-limit row → account →
-- expired lots.
declare
  v_taken guard.taken;
begin
  v_taken := guard.take('{admin}', p_admin_id, null, p_endpoint);
  refusal := v_taken.refusal;
  limits := guard.limits_json(v_taken.limits);
  if refusal is not null then
    return;
  end if;
  if p_user_id = p_admin_id and p_amount > 0 then
    refusal := guard.refusal('auth/forbidden', '{}', limits);
  elsif not accounts.find(p_user_id) then
    refusal := guard.refusal('resource/not-found', '{}', limits);
  else
    account := credits.lock_account(p_user_id);
    refusal := (ops.admit_admin(p_admin_id)).refusal || jsonb_build_object('limits', limits);
    -- Whatever is given to a closed account is forfeited at once.
    if refusal is null and account.closed_at is not null then
      refusal := guard.refusal('resource/wrong-state', '{"status": "closed"}', limits);
    elsif refusal is null and account.owner_id <> p_user_id then
      refusal := guard.refusal('resource/wrong-state', '{"status": "merged"}', limits);
    end if;
  end if;
end;
$$;

create function ops.check_refund(p_user_id uuid, p_job_id uuid, p_amount bigint)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Why a job cannot be refunded, or null: it must be a completed one of that user, not refunded before, and the amount
-- at most what it cost. The caller has locked the account, as everything does first that ends or refunds a job: so of
-- two refunds at once the second sees the first.
declare
  v_job videos.jobs;
begin
  select j.* into v_job from videos.jobs as j where j.id = p_job_id and j.user_id = p_user_id;
  if not found then
    return guard.refusal('resource/not-found');
  end if;
  if v_job.status <> 'completed' then
    return guard.refusal('resource/wrong-state', jsonb_build_object('status', v_job.status));
  end if;
  if exists (select from ops.admin_actions as a where a.job_id = p_job_id and a.action = 'refund_credits') then
    return guard.refusal('resource/wrong-state', '{"status": "refunded"}');
  end if;
  if p_amount > v_job.credits_used then
    return guard.refusal('request/malformed', jsonb_build_object('fields', jsonb_build_array(jsonb_build_object(
      'path', 'amount', 'message', format('Must be at most %s, what the job cost', v_job.credits_used)
    ))));
  end if;
  return null;
end;
$$;

create function ops.refund_credits(
  p_admin_id uuid, p_request_id text, p_user_id uuid, p_amount bigint, p_reason text, p_job_id uuid
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Gives credits back, or says why not; nothing is written before the last refusal but the counted request. `data`:
-- `{ transaction_id, new_balance }`. Locks: rate-limit row → account → job → lots → the admin.
declare
  v_begun record;
  v_refusal jsonb;
  v_taken guard.taken;
  v_limits jsonb;
  v_action_id constant uuid := core.new_id();
  v_posted jsonb;
begin
  v_begun := ops.begin_credits(p_admin_id, 'admin-refund-credits', p_user_id, p_amount);
  if v_begun.refusal is not null then
    return v_begun.refusal;
  end if;
  if p_job_id is not null then
    v_refusal := ops.check_refund(p_user_id, p_job_id, p_amount);
    if v_refusal is not null then
      return v_refusal || jsonb_build_object('limits', v_begun.limits);
    end if;
  end if;
  v_taken := ops.take_credits(p_admin_id, p_amount);
  v_limits := guard.limits_json(v_taken.limits) || v_begun.limits;
  if v_taken.refusal is not null then
    return v_taken.refusal || jsonb_build_object('limits', v_limits);
  end if;

  v_posted := credits.add(p_user_id, p_amount, 'refund', 'admin_action:' || v_action_id, p_job_id => p_job_id);
  perform videos.note_refund(p_job_id, p_amount);
  insert into ops.admin_actions (
    id, action, admin_id, user_id, amount, transfer_id, job_id, reason, request_id, created_at
  )
  values (
    v_action_id, 'refund_credits', p_admin_id, p_user_id, p_amount, (v_posted ->> 'transfer_id')::uuid, p_job_id,
    p_reason, p_request_id, core.now()
  );
  return guard.answer(
    jsonb_build_object('transaction_id', v_posted -> 'transfer_id', 'new_balance', v_posted -> 'credits_remaining'),
    v_limits
  );
end;
$$;

create function ops.adjust_credits(
  p_admin_id uuid, p_request_id text, p_user_id uuid, p_amount bigint, p_reason text
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Adds credits or, where the amount is negative, takes them, never below zero; or says why not. Nothing is written
-- before the last refusal but the counted request. `data`: `{ transaction_id, new_balance }`.
-- Locks: rate-limit row → account → lots → the admin.
declare
  v_begun record;
  v_taken guard.taken;
  v_limits jsonb;
  v_action_id constant uuid := core.new_id();
  v_posted jsonb;
begin
  v_begun := ops.begin_credits(p_admin_id, 'admin-adjust-credits', p_user_id, p_amount);
  if v_begun.refusal is not null then
    return v_begun.refusal;
  end if;
  v_limits := v_begun.limits;
  if p_amount > 0 then
    v_taken := ops.take_credits(p_admin_id, p_amount);
    v_limits := guard.limits_json(v_taken.limits) || v_limits;
    if v_taken.refusal is not null then
      return v_taken.refusal || jsonb_build_object('limits', v_limits);
    end if;
    v_posted := credits.add(p_user_id, p_amount, 'adjustment', 'admin_action:' || v_action_id);
  else
    if (v_begun.account).balance < -p_amount then
      return guard.refusal(
        'payment/insufficient-credits',
        jsonb_build_object('required', -p_amount, 'available', (v_begun.account).balance), v_limits
      );
    end if;
    v_posted := credits.deduct(p_user_id, -p_amount, 'admin_action:' || v_action_id);
  end if;

  insert into ops.admin_actions (id, action, admin_id, user_id, amount, transfer_id, reason, request_id, created_at)
  values (
    v_action_id, 'adjust_credits', p_admin_id, p_user_id, p_amount, (v_posted ->> 'transfer_id')::uuid, p_reason,
    p_request_id, core.now()
  );
  return guard.answer(
    jsonb_build_object('transaction_id', v_posted -> 'transfer_id', 'new_balance', v_posted -> 'credits_remaining'),
    v_limits
  );
end;
$$;
