-- Which guest an Apple Account was, so that a guest whose session is lost is found again.

create table devices.app_transactions (
  environment text not null check (environment in ('production', 'sandbox')),
  -- Apple's; the same for one Apple Account in this app, on each of its devices.
  app_transaction_id text not null check (char_length(app_transaction_id) between 1 and 40),
  -- The first guest who came with it, or whom they became; null once they are erased.
  user_id uuid,
  noted_at timestamptz not null,
  -- When a guest was found by it last.
  recovered_at timestamptz,
  -- When a device's credits were granted to somebody who came with it: once, whatever devices and networks take part.
  granted_at timestamptz,
  primary key (environment, app_transaction_id)
);
alter table devices.app_transactions enable row level security;
create index app_transactions_user on devices.app_transactions (user_id) where user_id is not null;
comment on table devices.app_transactions is 'Whom an Apple Account was first seen as, by StoreKit''s AppTransaction.';

create function devices.note_app_transaction(p_user_id uuid, p_app_transaction jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Notes that a user came with a verified `{ environment, app_transaction_id }`. Whoever was first stays, but one whose account
-- is closed or erased gives way. A second call changes nothing. Locks: its row.
begin
  insert into devices.app_transactions as t (environment, app_transaction_id, user_id, noted_at)
  values (
    p_app_transaction ->> 'environment', p_app_transaction ->> 'app_transaction_id', p_user_id, core.now()
  )
  on conflict (environment, app_transaction_id) do update
    set user_id = excluded.user_id, noted_at = excluded.noted_at
    where t.user_id is null or exists (
      select from accounts.users as u where u.id = t.user_id and u.closed_at is not null
    );
end;
$$;

create function devices.find_guest(p_app_transaction jsonb)
returns devices.app_transactions
language plpgsql
stable
set search_path = ''
as $$
-- Whom an Apple Account was first seen as; null for one that nobody came with.
declare
  v_row devices.app_transactions;
begin
  select t.* into v_row
  from devices.app_transactions as t
  where t.environment = p_app_transaction ->> 'environment'
    and t.app_transaction_id = p_app_transaction ->> 'app_transaction_id';
  return v_row;
end;
$$;

create function devices.users_of_app_transaction(p_app_transaction_id text)
returns setof uuid
language sql
stable
set search_path = ''
as $$
  -- Who came with an Apple Account, in whichever environment.
  select t.user_id from devices.app_transactions as t
  where t.environment in ('production', 'sandbox') and t.app_transaction_id = p_app_transaction_id and t.user_id is not null
$$;

-- Whether credits were granted for an app transaction already; false for none.
create function devices.is_granted(p_app_transaction jsonb)
returns boolean
language sql
stable
set search_path = ''
as $$
  select (devices.find_guest(p_app_transaction)).granted_at is not null
$$;

create function devices.claim_grant(p_app_transaction jsonb)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Takes the one grant of an app transaction, for the caller to make: false where it was taken. Locks: its row.
begin
  update devices.app_transactions as t set granted_at = core.now()
  where t.environment = p_app_transaction ->> 'environment'
    and t.app_transaction_id = p_app_transaction ->> 'app_transaction_id' and t.granted_at is null;
  return found;
end;
$$;

create function devices.note_recovery(p_found devices.app_transactions)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- A guest was found by it. Locks: its row.
begin
  update devices.app_transactions as t set recovered_at = core.now()
  where t.environment = p_found.environment and t.app_transaction_id = p_found.app_transaction_id;
end;
$$;

select core.keep_rows_out_of_logs('devices.app_transactions');
