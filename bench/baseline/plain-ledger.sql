-- A plain double-entry ledger, for what five rows a transfer cost on the machine of the bench: both balances, a transfer and
-- its two entries, and nothing else. No lots, holds, keys, limits or hashes.

create schema plain;

create table plain.accounts (
  id uuid primary key, balance bigint not null, version bigint not null default 0, updated_at timestamptz not null
);
create table plain.transfers (
  id bigint generated always as identity primary key, from_id uuid not null references plain.accounts,
  to_id uuid not null references plain.accounts, amount bigint not null check (amount > 0), created_at timestamptz not null
);
create index on plain.transfers (from_id);
create index on plain.transfers (to_id);
create table plain.entries (
  id bigint generated always as identity primary key, account_id uuid not null references plain.accounts,
  transfer_id bigint not null references plain.transfers, amount bigint not null, balance_after bigint not null,
  account_version bigint not null, created_at timestamptz not null
);
create index on plain.entries (account_id);
create index on plain.entries (transfer_id);

create function plain.transfer(p_from uuid, p_to uuid, p_amount bigint) returns bigint
language plpgsql as $$
declare
  v_now constant timestamptz := now();
  v_transfer_id bigint;
  v_from plain.accounts;
  v_to plain.accounts;
begin
  perform from plain.accounts as a where a.id in (p_from, p_to) order by a.id for update;
  insert into plain.transfers (from_id, to_id, amount, created_at) values (p_from, p_to, p_amount, v_now)
  returning id into v_transfer_id;
  update plain.accounts as a set balance = a.balance - p_amount, version = a.version + 1, updated_at = v_now
  where a.id = p_from returning a.* into v_from;
  update plain.accounts as a set balance = a.balance + p_amount, version = a.version + 1, updated_at = v_now
  where a.id = p_to returning a.* into v_to;
  insert into plain.entries (account_id, transfer_id, amount, balance_after, account_version, created_at) values
    (p_from, v_transfer_id, -p_amount, v_from.balance, v_from.version, v_now),
    (p_to, v_transfer_id, p_amount, v_to.balance, v_to.version, v_now);
  return v_transfer_id;
end;
$$;
