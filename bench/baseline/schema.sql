-- The seeds' own way of charging for a video, written from their description: a log of hits that is counted and then
-- inserted into, a balance in the user's row, a procedure that deducts it, and a table of keys. Each step is a round
-- trip of its own.

create schema baseline;

create table baseline.users (id uuid primary key, credits_remaining integer not null);
create table baseline.models (id uuid primary key, cost_per_generation integer not null);
create table baseline.rate_limit_log (
  id bigserial primary key, user_id uuid not null, action text not null, created_at timestamptz not null default now()
);
create index on baseline.rate_limit_log (user_id, action, created_at);
create table baseline.quota_log (
  id bigserial primary key, user_id uuid not null, change integer not null, reason text not null,
  balance_after integer not null, created_at timestamptz not null default now()
);
create index on baseline.quota_log (user_id, created_at desc);
create table baseline.video_jobs (
  id uuid primary key default gen_random_uuid(), user_id uuid not null references baseline.users,
  model_id uuid not null references baseline.models, prompt text not null, status text not null default 'pending',
  credits_used integer not null, created_at timestamptz not null default now()
);
create index on baseline.video_jobs (user_id, created_at desc);
create table baseline.idempotency_log (
  idempotency_key text primary key, user_id uuid not null references baseline.users, response jsonb not null,
  created_at timestamptz not null default now(), expires_at timestamptz not null default now() + interval '24 hours'
);

create function baseline.deduct_credits(p_user_id uuid, p_amount integer, p_reason text) returns jsonb
language plpgsql as $$
declare
  v_balance integer;
begin
  select credits_remaining into v_balance from baseline.users where id = p_user_id for update;
  if v_balance < p_amount then
    return jsonb_build_object('success', false, 'error', 'Insufficient credits', 'current_credits', v_balance);
  end if;
  update baseline.users set credits_remaining = credits_remaining - p_amount where id = p_user_id
  returning credits_remaining into v_balance;
  insert into baseline.quota_log (user_id, change, reason, balance_after)
  values (p_user_id, -p_amount, p_reason, v_balance);
  return jsonb_build_object('success', true, 'credits_remaining', v_balance);
end;
$$;
