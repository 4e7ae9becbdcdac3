-- A subscription: what its periods have in common. Each period is a transaction.
create table purchases.subscriptions (
  environment purchases.environment not null,
  original_transaction_id text not null check (char_length(original_transaction_id) between 1 and 40),
  -- Whose the periods to come are; those that were credited stay where they are.
  owner_id uuid,
  -- What Apple signed last about its renewal; null before it said anything.
  renewal_signed_at timestamptz,
  is_auto_renewing boolean,
  is_in_billing_retry boolean not null default false,
  grace_period_expires_at timestamptz,
  -- When it moved to its present owner, who restored it.
  moved_at timestamptz,
  created_at timestamptz not null,
  primary key (environment, original_transaction_id)
);
alter table purchases.subscriptions enable row level security;
create index subscriptions_owner on purchases.subscriptions (owner_id) where owner_id is not null;
comment on table purchases.subscriptions is 'Who has which subscription, and what Apple says about its renewal.';

create type purchases.subscription_status as enum ('active', 'in_grace', 'in_billing_retry', 'expired', 'revoked');

create function purchases.subscribe(
  p_told purchases.transactions, p_presenter uuid, out owner_id uuid, out reason purchases.uncredited_reason
)
language plpgsql
volatile
set search_path = ''
as $$
-- Whose a subscription's periods are: it is written down with the first that is told of it. Whoever that names has it, else
-- whoever presents one; and whoever presents one of a subscription whose owner's account is closed, has it from then on.
-- `owner_id` is null where it is nobody's, with the `reason`. The caller has locked the subscription.
declare
  v_known uuid;
begin
  if (p_told).is_family_shared then
    reason := 'family_shared';
    return;
  end if;
  select s.owner_id into v_known
  from purchases.subscriptions as s
  where s.environment = (p_told).environment and s.original_transaction_id = (p_told).original_transaction_id;
  if not found then
    insert into purchases.subscriptions (environment, original_transaction_id, created_at)
    values ((p_told).environment, (p_told).original_transaction_id, core.now());
  end if;
  owner_id := v_known;
  if owner_id is null then
    -- Also one whose account is closed: a subscription lives on at Apple's, and can be restored by somebody else.
    select accounts.heir_of(u.id) into owner_id
    from accounts.users as u where u.app_account_token = (p_told).app_account_token;
    if owner_id is null and (p_told).app_account_token is not null then
      reason := 'unknown_account';
      return;
    end if;
    owner_id := coalesce(owner_id, p_presenter);
  end if;
  if p_presenter <> owner_id and purchases.is_closed(owner_id) then
    owner_id := p_presenter;
  end if;
  if owner_id is null then
    reason := 'unclaimed';
  elsif owner_id is distinct from v_known then
    perform purchases.move_subscription(p_told, owner_id);
  end if;
end;
$$;

-- Whether it is an account that is closed: a period to come has no use for it.
create function purchases.is_closed(p_user_id uuid)
returns boolean
language sql
stable
return exists (select from accounts.users as u where u.id = p_user_id and u.closed_at is not null);

create function purchases.move_subscription(p_told purchases.transactions, p_owner_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Gives a subscription's periods to come to a user. The caller has locked the subscription.
begin
  update purchases.subscriptions as s
  set moved_at = case when s.owner_id is not null then core.now() end, owner_id = p_owner_id
  where s.environment = (p_told).environment and s.original_transaction_id = (p_told).original_transaction_id
    and s.owner_id is distinct from p_owner_id;
end;
$$;

create function purchases.restore_from_guest(p_told purchases.transactions, p_presenter uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Moves a subscription that is a guest's to whoever presents it: a guest who lost their session has no other way. What was
-- paid until now stays the guest's. The caller has locked the subscription, and the account of the presenter.
declare
  -- Or whoever they have become while this waited.
  v_presenter constant uuid := accounts.heir_of(p_presenter);
  v_owner_id uuid;
begin
  select s.owner_id into v_owner_id
  from purchases.subscriptions as s
  where s.environment = (p_told).environment and s.original_transaction_id = (p_told).original_transaction_id;
  if v_owner_id <> v_presenter and not (p_told).is_family_shared
    and exists (select from auth.users as a where a.id = v_owner_id and a.is_anonymous)
  then
    perform purchases.move_subscription(p_told, v_presenter);
  end if;
end;
$$;

create function purchases.note_renewal(p_renewal jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Keeps what Apple signed last about a subscription's renewal. A second call, or an older one, changes nothing. The caller
-- has locked the subscription.
begin
  update purchases.subscriptions as s
  set renewal_signed_at = r.signed_at, is_auto_renewing = r.auto_renew_status <> 'off',
      is_in_billing_retry = r.is_in_billing_retry, grace_period_expires_at = r.grace_period_expires_at
  from jsonb_to_record(p_renewal) as r (
    environment purchases.environment, original_transaction_id text, signed_at timestamptz, auto_renew_status text,
    is_in_billing_retry boolean, grace_period_expires_at timestamptz
  )
  where s.environment = r.environment and s.original_transaction_id = r.original_transaction_id
    -- Of two that were signed in the same moment, any rule will do that does not ask which came first.
    and (
      coalesce(s.renewal_signed_at, '-infinity'), coalesce(s.grace_period_expires_at, '-infinity'), s.is_in_billing_retry,
      coalesce(s.is_auto_renewing, true)
    ) < (
      r.signed_at, coalesce(r.grace_period_expires_at, '-infinity'), r.is_in_billing_retry,
      coalesce(r.auto_renew_status <> 'off', true)
    );
end;
$$;

create function purchases.other_periods(p_period purchases.transactions)
returns setof purchases.transactions
language sql
stable
set search_path = ''
as $$
  -- The other periods of the same subscription that somebody paid for themselves.
  select t.*
  from purchases.transactions as t
  where t.environment = (p_period).environment and t.original_transaction_id = (p_period).original_transaction_id
    and t.transaction_id <> (p_period).transaction_id and t.kind = 'subscription' and not t.is_family_shared
$$;

create function purchases.cut_at(p_period purchases.transactions)
returns timestamptz
language sql
stable
set search_path = ''
as $$
  -- When another level began in the middle of a period, for which Apple gives back the share of the price that was left; null
  -- where none did. Apple signs that it was an upgrade, but need not tell it again of the period that it ended: a purchase
  -- within it says the same. A renewal may begin some moments early, and ends nothing.
  select min(o.purchased_at)
  from purchases.other_periods(p_period) as o
  where (o.purchased_at, o.transaction_id collate "C")
      > ((p_period).purchased_at, (p_period).transaction_id collate "C")
    and o.purchased_at < (p_period).expires_at
    and ((p_period).is_upgraded or not o.is_renewal)
$$;

create function purchases.cutter_of(p_period purchases.transactions)
returns uuid
language sql
stable
set search_path = ''
as $$
  -- The period that begins at purchases.cut_at.
  select o.id
  from purchases.other_periods(p_period) as o
  where o.purchased_at = purchases.cut_at(p_period)
  order by o.transaction_id collate "C"
  limit 1
$$;

create function purchases.unspent_of(p_transfer_id uuid)
returns bigint
language sql
stable
set search_path = ''
as $$
  -- What a purchase brought and nobody has spent: what was taken back of it, expired, or is left. Null for none.
  select (coalesce((select sum(r.amount) from credits.reversals_of(t.id) as r), 0)
    + coalesce((select sum(e.amount) from credits.expiries_of(t.id) as e), 0)
    + coalesce((select sum(l.remaining) from credits.lots_of(t.draws[1].lot_id) as l), 0))::bigint
  from credits.transfers as t
  where t.id = p_transfer_id
$$;

create function purchases.share_cut(p_period purchases.transactions, out taken bigint, out passed bigint)
language plpgsql
stable
set search_path = ''
as $$
-- How much of a credited period's credits is taken back because another level began in the middle of one: its own rest, by
-- time, rounded up, so that no number of upgrades adds up to a credit. Where the next period is another user's, who has
-- restored the subscription, that is taken as far as it is there, and the next period is smaller by the rest: else whoever
-- spends, restores and upgrades in turn has each period for the price of one, and leaves debts behind. `passed`: what the
-- next period has to bear.
declare
  v_next purchases.transactions;
  v_rest bigint := 0;
  v_due constant bigint := purchases.passed_to(p_period);
begin
  select t.* into v_next from purchases.transactions as t where t.id = purchases.cutter_of(p_period);
  if v_next.id is not null then
    v_rest := (p_period).credits - floor(
      (p_period).credits * extract(epoch from v_next.purchased_at - (p_period).purchased_at)
        / extract(epoch from (p_period).expires_at - (p_period).purchased_at)
    )::bigint;
  end if;
  taken := least((p_period).credits, v_due + case
    when v_next.credited_at is not null and v_next.owner_id <> (p_period).owner_id
      then least(v_rest, greatest(0, coalesce(purchases.unspent_of((p_period).transfer_id), 0) - v_due))
    else v_rest
  end);
  passed := v_due + v_rest - taken;
end;
$$;

create function purchases.passed_to(p_period purchases.transactions)
returns bigint
language sql
stable
set search_path = ''
as $$
  -- What a period has to bear of those that it ended with another user, who has spent that: so much less it brings. It may be
  -- more than it brings; then the rest is for the next one.
  select coalesce(sum((purchases.share_cut(t)).passed), 0)::bigint
  from purchases.other_periods(p_period) as t
  where t.credited_at is not null and t.purchased_at <= (p_period).purchased_at and t.expires_at > (p_period).purchased_at
    and purchases.cutter_of(t) = (p_period).id
$$;

create function purchases.added_by(p_transaction purchases.transactions)
returns bigint
language sql
stable
set search_path = ''
as $$
  -- What a credited transaction has brought its owner, before anything was taken back.
  select (p_transaction).credits
    - case when (p_transaction).kind = 'subscription' then least((p_transaction).credits, purchases.passed_to(p_transaction)) else 0 end
$$;

create function purchases.to_take_back(p_transaction purchases.transactions)
returns bigint
language sql
stable
set search_path = ''
as $$
  -- How much of what a transaction brought is to be taken back: what Apple has refunded, rounded down, or what a change of
  -- levels took of a period.
  select greatest(
    (p_transaction).credits * (p_transaction).revoked_share / 100000,
    case when (p_transaction).kind = 'subscription' then (purchases.share_cut(p_transaction)).taken end
  )
$$;

create function purchases.credits_of(
  p_transaction purchases.transactions, p_product purchases.products, p_owner_id uuid
)
returns bigint
language sql
stable
set search_path = ''
as $$
  -- What a transaction brings. A period that costs nothing brings `trial_credits`, once for a subscription and once for a user.
  select (p_transaction).quantity * case
    when not (p_transaction).is_free_trial then (p_product).credits
    when exists (
      select from purchases.transactions as t
      where t.is_free_trial and t.credits > 0 and t.environment = (p_transaction).environment
        and (t.original_transaction_id = (p_transaction).original_transaction_id or t.owner_id = p_owner_id)
    ) then 0
    else (p_product).trial_credits
  end
$$;

-- Until when the credits of a period live; null for what is no period. Three days more, or as long as Apple wants a
-- subscriber served whose payment failed.
create function purchases.credits_expire_at(p_transaction purchases.transactions)
returns timestamptz
language sql
immutable
return greatest((p_transaction).expires_at + interval '3 days', (p_transaction).grace_until);
