-- purchases: what is sold through the App Store, what was bought, and what Apple says became of it. In this order:
-- products.sql (what is sold), transactions.sql (what was bought), subscriptions.sql (what periods have in common),
-- showing.sql (what the API tells of both), sandbox.sql (what may be credited for no money),
-- crediting.sql (how a purchase becomes credits), notifications.sql (what Apple tells), consumption.sql (what Apple asks),
-- telling.sql (what there is to tell of it).

create schema purchases;

create type purchases.product_kind as enum ('consumable', 'subscription');

create table purchases.products (
  -- The product's id in App Store Connect.
  product_id text primary key check (char_length(product_id) between 1 and 200),
  kind purchases.product_kind not null,
  name text not null check (char_length(name) between 1 and 100),
  description text not null check (char_length(description) <= 500),
  -- For one unit, or for each period. A thousand units, which is what Apple sells at once at most, are one posting.
  credits bigint not null check (credits between 1 and 1000000),
  -- For a period that costs nothing.
  trial_credits bigint not null default 0 check (trial_credits between 0 and 1000000),
  -- What is not available is not shown; whoever has paid for it gets it all the same.
  is_available boolean not null default true,
  is_featured boolean not null default false,
  position integer not null default 0
);
alter table purchases.products enable row level security;
comment on table purchases.products is 'What is sold, and for how many credits; the operator''s to change. What was credited stays as it was.';

-- A product as the API shows it.
create function purchases.product_json(p_product purchases.products)
returns jsonb
language sql
stable
return jsonb_build_object(
  'product_id', (p_product).product_id, 'kind', (p_product).kind, 'name', (p_product).name,
  'description', (p_product).description, 'credits', (p_product).credits, 'is_featured', (p_product).is_featured
);

-- A product as the operator sees it, and as it is written down.
create function purchases.record_json(p_product purchases.products)
returns jsonb
language sql
stable
return purchases.product_json(p_product) || jsonb_build_object(
  'trial_credits', (p_product).trial_credits, 'is_available', (p_product).is_available, 'position', (p_product).position
);
