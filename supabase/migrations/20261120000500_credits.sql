-- credits: a double-entry ledger. Inserting a transfer is the only way that money moves: its trigger writes the
-- two entries, moves the balances and draws the lots, in the same statement. Nothing here is ever rewritten.
--
-- Amounts are whole credits. An entry is signed; over all accounts of a unit the entries sum to zero. A user's
-- accounts carry their balance and refuse to go below zero. System accounts carry none: one row that everybody
-- updates would serialise everybody, so theirs is derived from the entries.

create schema credits;
revoke all on schema credits from public;

create type credits.account_kind as enum (
  'available', -- a user's credits
  'owed', -- a user's debt: credits taken back after they were spent
  'grants', 'purchases', -- where credits come from
  'escrow', -- held for running jobs
  'revenue', -- paid for completed jobs
  'breakage', -- expired
  'forfeited' -- left behind in closed accounts
);

create table credits.accounts (
  id bigint generated always as identity primary key,
  kind credits.account_kind not null,
  -- Null for a system account. No foreign key: the ledger outlives the person.
  user_id uuid,
  unit text not null default 'credit',
  balance bigint check (balance >= 0),
  -- Number and hash of the newest entry. With them, a cut-off tail of the chain is seen.
  entry_count bigint not null default 0,
  head_hash bytea not null default '\x',
  -- When the next lot expires; saves looking at the lots in every posting.
  next_expiry_at timestamptz,
  closed_at timestamptz,
  created_at timestamptz not null default now(),
  check ((kind <= 'owed') = (user_id is not null) and (balance is null) = (user_id is null))
) with (fillfactor = 70);
alter table credits.accounts enable row level security;
revoke all on credits.accounts from anon, authenticated, service_role;
create unique index accounts_user on credits.accounts (user_id, kind, unit) where user_id is not null;
create index accounts_expiry on credits.accounts (next_expiry_at) where next_expiry_at is not null;
create unique index accounts_system on credits.accounts (kind, unit) where user_id is null;
comment on table credits.accounts is 'Who has credits: users, and the platform''s own accounts.';

-- Under fixed ids, which credits.system_account knows: that saves a look-up in every posting.
insert into credits.accounts (id, kind) overriding system value
values (1, 'grants'), (2, 'purchases'), (3, 'escrow'), (4, 'revenue'), (5, 'breakage'), (6, 'forfeited');
alter table credits.accounts alter column id restart with 1000;

-- A posting is one call under one idempotency key, and what came of it. A refused one is kept as well: its key
-- stays burned, so that a retry never succeeds behind the back of whoever was told no.
create table credits.postings (
  id bigint generated always as identity primary key,
  idempotency_key text not null unique,
  user_id uuid not null,
  -- The call and its arguments; the same key with others is a mistake of the caller's.
  request jsonb not null,
  outcome jsonb not null,
  created_at timestamptz not null
);
alter table credits.postings enable row level security;
revoke all on credits.postings from anon, authenticated, service_role;
comment on table credits.postings is 'Every call that meant to move credits, with its first result.';

-- Credits come in lots. Spending draws them by priority (lower first), then expiry, then age.
create table credits.lots (
  id bigint generated always as identity primary key,
  account_id bigint not null references credits.accounts,
  priority smallint not null default 100,
  expires_at timestamptz,
  amount bigint not null check (amount between 1 and 1000000000),
  remaining bigint not null check (remaining between 0 and amount),
  created_at timestamptz not null
) with (fillfactor = 70);
alter table credits.lots enable row level security;
revoke all on credits.lots from anon, authenticated, service_role;
create index lots_spendable on credits.lots (account_id, priority, expires_at nulls last, id) where remaining > 0;
comment on table credits.lots is 'What is left of each grant and purchase.';

-- How much of a lot a transfer took, or put back.
create type credits.draw as (lot_id bigint, amount bigint);

create type credits.transfer_kind as enum (
  'grant', 'purchase', 'refund', 'adjustment', 'hold', 'capture', 'release', 'expiry', 'reversal', 'debt_payment',
  'forfeit'
);

create table credits.transfers (
  id uuid primary key default ops.new_id(),
  -- Written a moment before, in the same procedure.
  posting_id bigint not null,
  kind credits.transfer_kind not null,
  -- No foreign keys: apply_transfer finds both accounts anyway, and a key's check would have every transfer lock
  -- the one row of a system account.
  from_account_id bigint not null,
  to_account_id bigint not null,
  amount bigint not null check (amount between 1 and 1000000000),
  job_id uuid,
  -- The hold that a capture or release ends; the transfer that a reversal takes back.
  reverses_id uuid references credits.transfers,
  -- Lots of the user's account on either side; together they are the whole amount.
  draws credits.draw[] not null default '{}',
  created_at timestamptz not null,
  check (
    from_account_id <> to_account_id
    and (kind in ('capture', 'release')) <= (reverses_id is not null)
    and (kind = 'hold') <= (job_id is not null)
  )
);
alter table credits.transfers enable row level security;
revoke all on credits.transfers from anon, authenticated, service_role;
create unique index transfers_hold on credits.transfers (job_id) where kind = 'hold';
-- Exactly one of capture and release, once for a hold.
create unique index transfers_hold_end on credits.transfers (reverses_id) where kind in ('capture', 'release');
create index transfers_reversal on credits.transfers (posting_id) where kind = 'reversal';
create index transfers_created_at on credits.transfers using brin (created_at);
comment on table credits.transfers is 'A positive amount moved from one account to another of the same unit.';

-- Only apply_transfer writes here, about a transfer and accounts that it has in hand; so without foreign keys.
create table credits.entries (
  transfer_id uuid not null,
  account_id bigint not null,
  amount bigint not null check (amount <> 0),
  -- The four of a user's account, where entries are numbered from 1, carry the balance and are chained.
  number bigint,
  balance_after bigint check (balance_after >= 0),
  hash bytea,
  created_at timestamptz not null,
  primary key (transfer_id, account_id),
  check (num_nonnulls(number, balance_after, hash) in (0, 3))
);
alter table credits.entries enable row level security;
revoke all on credits.entries from anon, authenticated, service_role;
create unique index entries_number on credits.entries (account_id, number) where number is not null;
comment on table credits.entries is 'Both sides of every transfer; a user''s are numbered and chained by hash.';

create function credits.entry_hash(
  p_previous bytea, p_account_id bigint, p_number bigint, p_transfer_id uuid, p_amount bigint,
  p_balance_after bigint, p_created_at timestamptz
)
returns bytea
language sql
stable
-- The time counts in microseconds, so that the text does not depend on the session's time zone.
return sha256(p_previous || convert_to(concat_ws(
  '|', p_account_id, p_number, p_transfer_id, p_amount, p_balance_after,
  (extract(epoch from p_created_at) * 1000000)::bigint
), 'UTF8'));

revoke all on function credits.entry_hash(bytea, bigint, bigint, uuid, bigint, bigint, timestamptz)
  from public, anon, authenticated, service_role;
comment on function credits.entry_hash(bytea, bigint, bigint, uuid, bigint, bigint, timestamptz) is
  'SHA-256 over the previous entry''s hash and this entry''s content.';

create function credits.apply_transfer()
returns trigger
language plpgsql
set search_path = ''
as $$
-- What a transfer means. Whoever inserts one has locked the user's account and decided; here only broken invariants
-- are left, and they raise check_violation. System accounts are read and never locked.
declare
  v_account credits.accounts;
  v_unit text;
  v_sides integer := 0;
  v_signed bigint;
  v_drawn bigint := 0;
  v_draw credits.draw;
begin
  for v_account in
    select a.* from credits.accounts as a where a.id in (new.from_account_id, new.to_account_id) order by a.id
  loop
    v_sides := v_sides + 1;
    v_unit := coalesce(v_unit, v_account.unit);
    if v_account.unit <> v_unit then
      raise exception 'transfer % crosses units', new.id using errcode = 'check_violation';
    end if;
    v_signed := case v_account.id when new.to_account_id then new.amount else -new.amount end;
    if v_account.user_id is null then
      insert into credits.entries (transfer_id, account_id, amount, created_at)
      values (new.id, v_account.id, v_signed, new.created_at);
      continue;
    end if;

    -- A debt counts the other way round: it grows when credits leave through it.
    v_account.balance := v_account.balance + case v_account.kind when 'owed' then -v_signed else v_signed end;
    v_account.entry_count := v_account.entry_count + 1;
    v_account.head_hash := credits.entry_hash(
      v_account.head_hash, v_account.id, v_account.entry_count, new.id, v_signed, v_account.balance, new.created_at
    );
    update credits.accounts as a
    set balance = v_account.balance, entry_count = v_account.entry_count, head_hash = v_account.head_hash
    where a.id = v_account.id and a.entry_count = v_account.entry_count - 1;
    if not found then
      raise exception 'account % was not locked before transfer %', v_account.id, new.id using errcode = 'check_violation';
    end if;
    insert into credits.entries (transfer_id, account_id, amount, number, balance_after, hash, created_at)
    values (
      new.id, v_account.id, v_signed, v_account.entry_count, v_account.balance, v_account.head_hash, new.created_at
    );

    if v_account.kind = 'available' then
      -- Taken when credits leave, put back when they come.
      foreach v_draw in array new.draws loop
        update credits.lots as l
        set remaining = l.remaining + sign(v_signed)::integer * v_draw.amount
        where l.id = v_draw.lot_id and l.account_id = v_account.id and v_draw.amount > 0;
        exit when not found;
        v_drawn := v_drawn + v_draw.amount;
      end loop;
      if v_drawn <> new.amount then
        raise exception 'transfer % does not draw its amount from lots of its account', new.id
          using errcode = 'check_violation';
      end if;
    end if;
  end loop;
  if v_sides <> 2 then
    raise exception 'transfer % names an account that is not there', new.id using errcode = 'check_violation';
  end if;
  return null;
end;
$$;

revoke all on function credits.apply_transfer() from public, anon, authenticated, service_role;
comment on function credits.apply_transfer() is 'Writes both entries and moves balances and lots.';

create trigger apply after insert on credits.transfers for each row execute function credits.apply_transfer();

create function credits.forbid()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  raise exception '% of credits.% is forbidden, for the owner too', lower(tg_op), tg_table_name
    using errcode = 'insufficient_privilege',
      hint = 'Post a compensating transfer instead.';
end;
$$;

revoke all on function credits.forbid() from public, anon, authenticated, service_role;
comment on function credits.forbid() is 'Keeps what is written as it was written.';

create trigger append_only before update or delete on credits.transfers
  for each row execute function credits.forbid();
create trigger no_truncate before truncate on credits.transfers
  for each statement execute function credits.forbid();
create trigger append_only before update or delete on credits.entries
  for each row execute function credits.forbid();
create trigger no_truncate before truncate on credits.entries
  for each statement execute function credits.forbid();
create trigger append_only before update or delete on credits.postings
  for each row execute function credits.forbid();
create trigger no_truncate before truncate on credits.postings
  for each statement execute function credits.forbid();
create trigger no_delete before delete on credits.accounts
  for each row execute function credits.forbid();
create trigger no_truncate before truncate on credits.accounts
  for each statement execute function credits.forbid();
create trigger no_delete before delete on credits.lots
  for each row execute function credits.forbid();
create trigger no_truncate before truncate on credits.lots
  for each statement execute function credits.forbid();
-- An entry is written, and a balance or a lot moves, only from inside apply_transfer: one trigger deep.
create trigger only_by_transfer before insert on credits.entries
  for each row when (pg_trigger_depth() = 0) execute function credits.forbid();
create trigger only_by_transfer before update of id, kind, user_id, unit, balance, entry_count, head_hash on credits.accounts
  for each row when (pg_trigger_depth() = 0) execute function credits.forbid();
create trigger only_by_transfer before update of id, account_id, amount, remaining on credits.lots
  for each row when (pg_trigger_depth() = 0) execute function credits.forbid();
-- Accounts and lots start empty; only a transfer fills them.
create trigger starts_empty before insert on credits.accounts
  for each row when (coalesce(new.balance, 0) <> 0 or new.entry_count <> 0 or new.head_hash <> '\x')
  execute function credits.forbid();
create trigger starts_empty before insert on credits.lots
  for each row when (new.remaining <> 0) execute function credits.forbid();
