create type ops.admin_action as enum (
  'make_admin', 'remove_admin', 'refund_credits', 'adjust_credits', 'enable_model', 'disable_model', 'ban', 'unban',
  'keep_video', 'remove_video', 'grant_appeal', 'reject_appeal', 'refund_removal', 'hold', 'lift_hold',
  'create_webhook', 'change_webhook', 'rotate_webhook_secret', 'delete_webhook',
  'switch_flag', 'change_limit', 'change_rule', 'acknowledge_alert', 'change_flag',
  'create_product', 'change_product', 'replay_task', 'read_prompt'
);

-- The one place for free text about users: the ledger has none.
create table ops.admin_actions (
  id uuid primary key default core.new_id(),
  action ops.admin_action not null,
  -- Null where it was done by hand in the dashboard.
  admin_id uuid,
  -- To whom or what it was done: a user, a model, or what `subject` names: `flag generation`, `policy reads`.
  user_id uuid,
  model_id uuid,
  subject text check (char_length(subject) between 1 and 300),
  -- What was changed: `{ before, after }`, of what no secret and nothing about a person is in.
  details jsonb,
  -- Credits, signed, and the transfer of the ledger that moved them.
  amount bigint check (amount <> 0),
  transfer_id uuid,
  -- The job that a refund is for, whose video was decided about, or whose prompt was read.
  job_id uuid,
  reason text not null check (char_length(reason) between 3 and 500),
  request_id text,
  created_at timestamptz not null,
  check ((action in ('refund_credits', 'refund_removal', 'adjust_credits')) = (amount is not null) and (amount is null) = (transfer_id is null)),
  check ((action in ('enable_model', 'disable_model')) = (model_id is not null)),
  check (num_nonnulls(user_id, model_id, subject) = 1),
  check (job_id is null or action in (
    'refund_credits', 'refund_removal', 'keep_video', 'remove_video', 'grant_appeal', 'reject_appeal', 'read_prompt'
  ))
);
alter table ops.admin_actions enable row level security;
create index admin_actions_user on ops.admin_actions (user_id, created_at desc, id desc) where user_id is not null;
-- What an admin has given within a day, without reading the rows.
create index admin_actions_given on ops.admin_actions (admin_id, created_at) include (amount) where amount > 0;
-- A job is refunded once.
create unique index admin_actions_job on ops.admin_actions (job_id) where action = 'refund_credits' and job_id is not null;
create index admin_actions_decided on ops.admin_actions (job_id) where job_id is not null;
comment on table ops.admin_actions is 'Everything that admins did, each in the transaction that did it. Only added to.';

-- What an admin did stays as it was written.
create function ops.keep_admin_actions()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  raise exception '% of ops.admin_actions is forbidden, for the owner too', lower(tg_op)
    using errcode = 'insufficient_privilege';
end;
$$;

create trigger append_only before update or delete or truncate on ops.admin_actions
  for each statement execute function ops.keep_admin_actions();

create function ops.make_admin(p_user_id uuid)
returns text
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_is_anonymous boolean;
  v_refusal jsonb;
begin
  select a.is_anonymous into v_is_anonymous from auth.users as a where a.id = p_user_id;
  if not found then
    raise exception 'there is no user %', p_user_id using errcode = 'no_data_found';
  end if;
  if v_is_anonymous then
    raise exception 'user % is a guest', p_user_id
      using errcode = 'invalid_parameter_value', hint = 'An admin signs in, with an e-mail address for example.';
  end if;
  -- Makes the row of whoever has called nothing yet.
  select a.refusal into v_refusal from accounts.admit(p_user_id) as a;
  if v_refusal is not null then
    raise exception 'the account of user % is closed or suspended', p_user_id using errcode = 'invalid_parameter_value';
  end if;

  if not accounts.set_admin(p_user_id, true) then
    return format('%s is an admin already', p_user_id);
  end if;
  insert into ops.admin_actions (action, user_id, reason, created_at)
  values ('make_admin', p_user_id, format('by %s in the database', session_user), core.now());
  return format('%s is an admin now', p_user_id);
end;
$$;
comment on function ops.make_admin(uuid) is
  'Makes a user an admin, and says so: select ops.make_admin(''<user id>''). No endpoint does it. A second call changes
nothing. Raises no_data_found for a user whom Auth does not know, invalid_parameter_value for a guest, and for an
account that is closed or suspended. Locks: the user''s row.';

create function ops.remove_admin(p_user_id uuid)
returns text
language plpgsql
volatile
set search_path = ''
as $$
begin
  if not accounts.set_admin(p_user_id, false) then
    return format('%s is no admin', p_user_id);
  end if;
  insert into ops.admin_actions (action, user_id, reason, created_at)
  values ('remove_admin', p_user_id, format('by %s in the database', session_user), core.now());
  return format('%s is no admin any more', p_user_id);
end;
$$;
comment on function ops.remove_admin(uuid) is
  'Makes an admin a user like any other, from their next request on, and says so: select ops.remove_admin(''<user id>'').
A second call changes nothing. Locks: the user''s row.';

create function ops.suspend(p_user_id uuid, p_reason text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Suspends a user, or whom they became, by nobody's hand but our own, and ends their sessions; an admin, or whose account is
-- closed, stays as they are. A second call changes nothing. Locks: user → sessions.
declare
  v_user_id uuid := p_user_id;
begin
  loop
    -- Whoever is merging them at this moment has it.
    perform from accounts.users as u where u.id = v_user_id for no key update;
    exit when accounts.heir_of(v_user_id) is not distinct from v_user_id;
    v_user_id := accounts.heir_of(v_user_id);
  end loop;
  if exists (select from accounts.users as u where u.id = v_user_id and not u.is_admin and u.closed_at is null)
    and accounts.set_banned(v_user_id, true)
  then
    insert into ops.admin_actions (action, user_id, reason, created_at) values ('ban', v_user_id, p_reason, core.now());
    perform accounts.end_sessions(v_user_id);
  end if;
end;
$$;

create function ops.admit_admin(
  p_admin_id uuid, p_session_id uuid default null, out refusal jsonb, out language text
)
language plpgsql
volatile
set search_path = ''
as $$
-- accounts.admit for those who act as admins: auth/forbidden for whoever is none, asked anew at every call.
begin
  select a.refusal, a.language into refusal, language from accounts.admit(p_admin_id, p_session_id => p_session_id) as a;
  if refusal is null and not exists (select from accounts.users as u where u.id = p_admin_id and u.is_admin) then
    refusal := guard.refusal('auth/forbidden', p_language => language);
  end if;
end;
$$;

create function ops.enter_admin(
  p_admin_id uuid, p_endpoint text, p_session_id uuid default null, out refusal jsonb, out limits jsonb, out language text
)
language plpgsql
volatile
set search_path = ''
as $$
-- guard.enter for those who act as admins, with their own policy. Whoever then waits for another lock asks
-- ops.admit_admin again. Locks: rate-limit row.
declare
  v_taken guard.taken;
begin
  select a.refusal, a.language into refusal, language from ops.admit_admin(p_admin_id, p_session_id) as a;
  if refusal is null then
    v_taken := guard.take('{admin}', p_admin_id, null, p_endpoint);
    refusal := guard.in_language(v_taken.refusal, language);
    limits := guard.limits_json(v_taken.limits);
  end if;
end;
$$;

create function ops.take_credits(p_admin_id uuid, p_amount bigint)
returns guard.taken
language plpgsql
volatile
set search_path = ''
as $$
-- Asks whether an admin may give so many credits now, as guard.take asks. What was given is
-- summed from ops.admin_actions, where the caller writes its own row before the transaction ends: then no window
-- exceeds the limit. `reset` is exact: when so much has left the window that the amount fits; what never fits may be
-- asked again after a whole window. Locks: the admin, until the transaction ends; nobody who has that lock waits for
-- another.
declare
  v_policy guard.policies;
  v_now timestamptz;
  v_given bigint;
  v_missing bigint;
  v_is_admitted boolean;
  v_reset interval;
  v_limit jsonb;
  v_taken guard.taken;
begin
  -- Of two numbers: those of one are the idempotency keys'. 1 is this limit; that two admins share one, they can bear.
  perform pg_advisory_xact_lock(1, hashtext(p_admin_id::text));
  select p.* into strict v_policy from guard.policies as p where p.name = 'admin_credits';
  v_now := core.now();
  select coalesce(sum(a.amount), 0) into v_given
  from ops.admin_actions as a
  where a.admin_id = p_admin_id and a.amount > 0 and a.created_at > v_now - v_policy.window_length;

  v_missing := v_given + p_amount - v_policy.admits;
  v_is_admitted := v_missing <= 0;
  select min(g.created_at) + v_policy.window_length - v_now into v_reset
  from (
    select a.created_at, sum(a.amount) over (order by a.created_at, a.id) as amount
    from ops.admin_actions as a
    where a.admin_id = p_admin_id and a.amount > 0 and a.created_at > v_now - v_policy.window_length
  ) as g
  where g.amount >= v_missing;
  if v_is_admitted then
    v_given := v_given + p_amount;
  end if;
  v_limit := jsonb_build_object(
    'policy', v_policy.name,
    'allowed', v_is_admitted,
    'current', v_given,
    'limit', v_policy.admits,
    'window', v_policy.window_seconds,
    'remaining', greatest(0, v_policy.admits - v_given),
    'reset', greatest(1, ceil(extract(epoch from coalesce(v_reset, v_policy.window_length)))::integer)
  );
  v_taken.limits := v_limit;
  if not v_is_admitted then
    v_taken.refusal := guard.refusal(
      'limit/rate-exceeded', jsonb_build_object('policy', v_policy.name, 'retry_after', v_limit -> 'reset'),
      jsonb_build_array(v_limit)
    );
  end if;
  return v_taken;
exception
  -- As in guard.take: the caller tries the whole again.
  when deadlock_detected or serialization_failure then
    raise;
  when others then
    raise warning 'the limit of credits is broken: %', sqlerrm;
    v_taken.limits := null;
    v_taken.refusal := guard.refusal('database/unavailable');
    return v_taken;
end;
$$;
create index admin_actions_request on ops.admin_actions (request_id) where request_id is not null;

select core.keep_rows_out_of_logs('ops.admin_actions');
