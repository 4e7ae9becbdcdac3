-- credits: a double-entry ledger. Inserting a transfer is the only way that money moves: its row is both entries, and its
-- trigger moves the balances and draws the lots, in the same statement. Nothing here is ever rewritten.
--
-- To read it in one sitting: credits.sql (what there is), transfers.sql (how money moves), lots.sql and accounts.sql
-- (what postings are made of), postings.sql, debts.sql, reversals.sql, expiries.sql (until when lots live), merging.sql,
-- console.sql (the operator's hand), telling.sql (who hears of it), proofs.sql.
--
-- Amounts are whole credits. An entry is signed; over all accounts of a unit the entries sum to zero. A user's
-- accounts carry their balance and refuse to go below zero. System accounts carry none: one row that everybody
-- updates would serialise everybody, so theirs is derived from the entries.

create schema credits;

create type credits.account_kind as enum (
  'available', -- a user's credits
  'owed', -- a user's debt: credits taken back after they were spent
  'grants', 'purchases', -- where credits come from
  'escrow', -- held for running jobs
  'revenue', -- paid for completed jobs
  'breakage', -- expired
  'forfeited', -- left behind in closed accounts
  'sandbox', -- where bought credits come from that cost nobody money
  'merging' -- on their way from a guest's accounts to their heir's, in one transaction: always zero
);

-- Domains, not constraints: Postgres reads a table's constraints anew in every statement that writes it, which costs ten
-- times as much.
create domain credits.amount as bigint check (value between 1 and 1000000000);
create domain credits.balance as bigint check (value >= 0);

create table credits.accounts (
  -- The platform's own accounts have the ids below; credits.system_account knows them, which saves a look-up in every
  -- posting.
  id bigint generated always as identity (start with 1000) primary key,
  kind credits.account_kind not null,
  owner_kind core.owner_kind not null default 'user',
  -- Null for a system account. No foreign key: the ledger outlives the person.
  owner_id uuid,
  unit text not null default 'credit',
  -- Null for a system account.
  balance credits.balance,
  -- Number and hash of the newest entry. With them, a cut-off tail of the chain is seen.
  entry_count bigint not null default 0,
  head_hash bytea not null default '\x',
  -- When the next lot expires; saves looking at the lots in every posting.
  next_expiry_at timestamptz,
  closed_at timestamptz,
  -- Whose account it became a part of: it is empty, and whatever comes to it goes there.
  merged_into uuid
) with (fillfactor = 70);
alter table credits.accounts enable row level security;
create unique index accounts_owner on credits.accounts (owner_id, kind, unit) where owner_id is not null;
create index accounts_expiry on credits.accounts (next_expiry_at) where next_expiry_at is not null;
create index accounts_merged_into on credits.accounts (merged_into) where merged_into is not null;
-- Debts are few, and summed.
create index accounts_owed on credits.accounts (id) where kind = 'owed' and owner_id is not null;
create unique index accounts_system on credits.accounts (kind, unit) where owner_id is null;
comment on table credits.accounts is 'Who has credits: users, and the platform''s own accounts.';

-- A posting is one call under one idempotency key, and what came of it. A refused one is kept as well: its key
-- stays burned, so that a retry never succeeds behind the back of whoever was told no.
create table credits.postings (
  id bigint generated always as identity primary key,
  idempotency_key text not null unique,
  owner_id uuid not null,
  -- The call and its arguments; the same key with others is a mistake of the caller's.
  request jsonb not null,
  outcome jsonb not null,
  created_at timestamptz not null
);
alter table credits.postings enable row level security;
comment on table credits.postings is 'Every call that meant to move credits, with its first result.';

-- Credits come in lots. Spending draws those that expire first, then the oldest.
create table credits.lots (
  id bigint generated always as identity primary key,
  account_id bigint not null references credits.accounts,
  owner_id uuid not null,
  -- Its lot in the guest's account that was merged into this one.
  descends_from bigint references credits.lots,
  expires_at timestamptz,
  amount credits.amount not null,
  -- Never more than the amount: apply_side sees to it.
  remaining credits.balance not null,
  -- What an index may know: it changes with the last credit, so that drawing the others changes no index (HOT).
  is_spent boolean not null generated always as (remaining = 0) stored,
  -- Bought in the store's sandbox, for no money: such credits pay for generation, and for nothing else.
  is_sandbox boolean not null default false
) with (fillfactor = 70);
alter table credits.lots enable row level security;
-- All of an account, the empty ones too, which a merge hands on.
create index lots_account on credits.lots (account_id);
create index lots_spendable on credits.lots (account_id, expires_at nulls last, id) where not is_spent;
create index lots_descends_from on credits.lots (descends_from) where descends_from is not null;
comment on table credits.lots is 'What is left of each grant and purchase.';

-- How much of a lot a transfer took, or put back.
create type credits.draw as (lot_id bigint, amount bigint);

create type credits.transfer_kind as enum (
  'grant', 'purchase', 'refund', 'adjustment', 'hold', 'capture', 'release', 'expiry', 'reversal', 'debt_payment',
  'forfeit', 'merge'
);

create table credits.transfers (
  id uuid primary key default core.new_id(),
  -- The call that it is part of, written a moment before. Null for a hold and its end, whose key is their job.
  posting_id bigint,
  -- Whose credits they are, also while they are the platform's to hold.
  owner_id uuid not null,
  kind credits.transfer_kind not null,
  from_account_id bigint not null,
  to_account_id bigint not null,
  amount credits.amount not null,
  job_id uuid,
  -- The hold that a capture or release ends; the transfer that a reversal takes back; the half of a merge before this one.
  reverses_id uuid,
  -- Lots of the user's account on either side; together they are the whole amount.
  draws credits.draw[] not null default '{}',
  created_at timestamptz not null,
  -- The entry of each side that is a user's: its number in the account, from 1, the balance after it, and the hash that
  -- chains it. apply_transfer writes them, and checks the row: no constraints or foreign keys, which cost more there.
  from_number bigint,
  from_balance bigint,
  from_hash bytea,
  to_number bigint,
  to_balance bigint,
  to_hash bytea
);
alter table credits.transfers enable row level security;
create unique index transfers_from on credits.transfers (from_account_id, from_number) where from_number is not null;
create unique index transfers_to on credits.transfers (to_account_id, to_number) where to_number is not null;
create unique index transfers_hold on credits.transfers (job_id) where kind = 'hold';
create index transfers_refund on credits.transfers (job_id) where kind = 'refund';
-- Exactly one of capture and release, once for a hold.
create unique index transfers_hold_end on credits.transfers (reverses_id) where kind in ('capture', 'release');
create index transfers_reversal on credits.transfers (posting_id) where kind = 'reversal';
create index transfers_reversed on credits.transfers (reverses_id) where kind = 'reversal';
create index transfers_created_at on credits.transfers using brin (created_at);
comment on table credits.transfers is 'A positive amount moved from one account to another of the same unit.';

create view credits.entries with (security_invoker = true) as
select t.id as transfer_id, t.kind, t.job_id, t.from_account_id as account_id, -t.amount as amount,
  t.from_number as number, t.from_balance as balance_after, t.from_hash as hash, t.created_at
from credits.transfers as t
union all
-- Of the other side's type: only so an account's entries are read in their order, from both indexes.
select t.id, t.kind, t.job_id, t.to_account_id, t.amount::bigint, t.to_number, t.to_balance, t.to_hash, t.created_at
from credits.transfers as t;
comment on view credits.entries is 'Both sides of every transfer; a user''s are numbered and chained by hash.';
