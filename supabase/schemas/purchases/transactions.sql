create type purchases.environment as enum ('production', 'sandbox');

-- Why a transaction is not credited. The first group waits for somebody; the others are so for good, unless Apple says
-- something new.
create type purchases.uncredited_reason as enum (
  'unclaimed', -- it names nobody, and nobody has presented it
  'unknown_product', -- there is no such product, or it is of another kind
  'wrong_environment', -- purchases in the sandbox are refused
  'sandbox_limit', -- no more is credited of the sandbox today
  'switched_off', -- purchases are
  'unknown_account', -- it names an account that is nobody's
  'closed_account', -- it names an account that is closed
  'family_shared', -- somebody else of the family bought it
  'revoked', -- Apple gave the money back first
  'expired' -- the period that it paid for is over
);

create table purchases.transactions (
  id uuid primary key default core.new_id(),
  environment purchases.environment not null,
  transaction_id text not null check (char_length(transaction_id) between 1 and 40),
  -- What all periods of a subscription share.
  original_transaction_id text not null check (char_length(original_transaction_id) between 1 and 40),
  product_id text not null check (char_length(product_id) between 1 and 200),
  kind text not null check (kind in ('consumable', 'subscription', 'other')),
  quantity integer not null check (quantity between 1 and 1000),
  app_account_token uuid,
  purchased_at timestamptz not null,
  expires_at timestamptz,
  -- When Apple signed what this row says. What was signed later is true.
  signed_at timestamptz not null,
  revoked_at timestamptz,
  revocation_reason integer,
  revocation_type text check (revocation_type in ('full', 'prorated', 'family_revoke')),
  -- In thousandths of a percent, as Apple counts.
  revocation_percentage integer check (revocation_percentage between 0 and 100000),
  is_family_shared boolean not null,
  is_upgraded boolean not null,
  is_free_trial boolean not null,
  -- In thousandths of the currency's unit.
  price_milliunits bigint check (price_milliunits >= 0),
  currency text check (currency ~ '^[A-Z]{3}$'),
  app_transaction_id text check (char_length(app_transaction_id) <= 40),
  -- Whose it is; once that is known it stays.
  owner_id uuid,
  -- What was added; a later price of the product does not change it.
  credits bigint check (credits >= 0),
  credited_at timestamptz,
  -- The ledger's; null where a period that cost nothing gave nothing.
  transfer_id uuid,
  reason purchases.uncredited_reason,
  -- Before then, trying again is of no use.
  retry_at timestamptz,
  created_at timestamptz not null,
  -- Apple began this period by itself, at the end of the one before.
  is_renewal boolean not null default false,
  -- Until when Apple wants the subscriber served though the payment for the next period failed, as far as it ever said.
  grace_until timestamptz,
  -- How much of it Apple has taken back, in thousandths of a percent.
  revoked_share integer generated always as (case
    when revoked_at is null then 0 when revocation_type = 'prorated' then coalesce(revocation_percentage, 100000) else 100000
  end) stored,
  -- The number first: the operator asks by that alone.
  unique (transaction_id, environment),
  constraint transactions_credited_or_not check (
    (credited_at is null) = (reason is not null) and (credited_at is null) = (credits is null)
    and (credited_at is null or owner_id is not null)
  )
);
alter table purchases.transactions enable row level security;
create index transactions_owner on purchases.transactions (owner_id, purchased_at desc, id desc) where owner_id is not null;
create index transactions_named on purchases.transactions (app_account_token)
  where owner_id is null and app_account_token is not null;
create index transactions_original on purchases.transactions (environment, original_transaction_id);
create index transactions_app on purchases.transactions (app_transaction_id) where app_transaction_id is not null;
create index transactions_waiting on purchases.transactions (reason, product_id)
  where reason in ('unknown_product', 'wrong_environment', 'sandbox_limit', 'switched_off');
create index transactions_sandbox on purchases.transactions (credited_at) where environment = 'sandbox';
comment on table purchases.transactions is 'What Apple says was bought, each transaction once, and what was credited for it.';

create function purchases.find_owner(
  p_told purchases.transactions, p_presenter uuid, out owner_id uuid, out reason purchases.uncredited_reason
)
language plpgsql
stable
set search_path = ''
as $$
-- Whose a transaction is that has no owner yet and is no period of a subscription: whoever it names, else whoever presents
-- it. Or why it is nobody's: then `owner_id` is null.
declare
  v_closed_at timestamptz;
begin
  if (p_told).is_family_shared then
    reason := 'family_shared';
  elsif (p_told).app_account_token is not null then
    -- Or whom they became since.
    select h.id, h.closed_at into owner_id, v_closed_at
    from accounts.users as u join accounts.users as h on h.id = accounts.heir_of(u.id)
    where u.app_account_token = (p_told).app_account_token;
    if not found then
      reason := 'unknown_account';
    elsif v_closed_at is not null then
      owner_id := null;
      reason := 'closed_account';
    end if;
  else
    owner_id := p_presenter;
    if owner_id is null then
      reason := 'unclaimed';
    end if;
  end if;
end;
$$;

select core.keep_rows_out_of_logs('purchases.transactions');
