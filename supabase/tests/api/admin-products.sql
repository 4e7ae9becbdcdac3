-- admin-products: what its procedures decide.
begin;
select plan(18);

insert into auth.users (id, is_anonymous) values
  ('00000000-0000-4000-8000-000000000001', false), ('00000000-0000-4000-8000-000000000002', true);
select ops.make_admin('00000000-0000-4000-8000-000000000001');
select accounts.admit('00000000-0000-4000-8000-000000000002');
update guard.policies set max_hits = 300 where name = 'admin';
delete from purchases.products;
create function pg_temp.add(p_product_id text, p_position integer default 0) returns jsonb language sql volatile as $$
  select api.post_admin_products(
    '00000000-0000-4000-8000-000000000001', 'r', p_product_id, 'consumable', 'A pack', 'Of credits', 20, 'for a reason',
    p_position => p_position
  )
$$;
create function pg_temp.change(p_product_id text, p_kind text default null, p_credits bigint default null, p_is_available boolean default null)
returns jsonb language sql volatile as $$
  select api.patch_admin_products(
    '00000000-0000-4000-8000-000000000001', 'r', p_product_id, 'for a reason', p_kind, p_credits => p_credits,
    p_is_available => p_is_available
  )
$$;
create function pg_temp.list() returns jsonb language sql volatile as $$
  select api.get_admin_products('00000000-0000-4000-8000-000000000001') -> 'data'
$$;
create function pg_temp.due() returns boolean language sql stable as $$
  select t.next_run_at <= core.now() from core.scheduled_tasks as t where t.name = 'credit_purchases'
$$;
create function pg_temp.buy(p_id text, p_product_id text, p_kind text, p_purchased_at timestamptz) returns void language sql volatile as $$
  insert into purchases.transactions (
    environment, transaction_id, original_transaction_id, product_id, kind, quantity, purchased_at, signed_at, is_family_shared,
    is_upgraded, is_free_trial, owner_id, reason, created_at
  )
  values (
    'production', p_id, p_id, p_product_id, p_kind, 1, p_purchased_at, p_purchased_at, false, false, false,
    '00000000-0000-4000-8000-000000000002', 'unknown_product', now()
  )
$$;
update core.scheduled_tasks set next_run_at = core.now() + interval '1 minute' where name = 'credit_purchases';

select is(
  api.get_admin_products('00000000-0000-4000-8000-000000000002') ->> 'error', 'ERR_4006', 'who is no admin sees nothing'
);
select is(pg_temp.list(), '{"products": [], "waiting": []}', 'where there is nothing, nothing is shown');
select is(
  pg_temp.add('a', 2) -> 'data',
  '{"product_id": "a", "kind": "consumable", "name": "A pack", "description": "Of credits", "credits": 20, "trial_credits": 0,
    "is_available": true, "is_featured": false, "position": 2}',
  'a product is added, and answered with what was left out'
);
select ok(pg_temp.due(), 'what waits for it is tried at the next tick');
select is(pg_temp.add('a') #>> '{details,status}', 'exists', 'a second call adds none');
select is((select p.position from purchases.products as p), 2, 'and changes nothing');
select pg_temp.add('b', 1);
select is(
  jsonb_path_query_array(pg_temp.list(), '$.products[*].product_id'), '["b", "a"]', 'products are in the operator''s order'
);
select is(pg_temp.change('a', p_credits => 30, p_is_available => false) #>> '{data,credits}', '30', 'what is given is changed');
select is(
  (select row (p.name, p.kind, p.position)::text from purchases.products as p where p.product_id = 'a'),
  '("A pack",consumable,2)', 'the rest stays'
);
select pg_temp.change('a', p_credits => 30);
select results_eq(
  $$ select a.action::text, a.subject, a.details #>> '{before,credits}', a.details #>> '{after,credits}', a.details #>> '{after,is_available}'
     from ops.admin_actions as a where a.subject like 'product %' order by a.id $$,
  $$ values ('create_product', 'product a', null, '20', 'true'), ('create_product', 'product b', null, '20', 'true'),
       ('change_product', 'product a', '20', '30', 'false') $$,
  'each change is written down, and what changes nothing is not'
);
select is(
  jsonb_path_query_array(pg_temp.list(), '$.products[*].is_available'), '[true, false]', 'what is taken off is shown to the operator'
);
select is(pg_temp.change('c', p_credits => 1) ->> 'error', 'ERR_4007', 'what is no product is not found');

select pg_temp.buy('1', 'x', 'consumable', '2026-11-01'), pg_temp.buy('2', 'x', 'consumable', '2026-11-02'),
  pg_temp.buy('3', 'y', 'consumable', '2026-11-03'), pg_temp.buy('4', 'a', 'subscription', '2026-11-04');
select is(
  jsonb_path_query_array(pg_temp.list(), '$.waiting[*].transaction_id'), '["1", "3", "4", "2"]',
  'the oldest purchase of each product comes first'
);
select is(
  pg_temp.list() #> '{waiting,2}',
  '{"transaction_id": "4", "environment": "production", "product_id": "a", "kind": "subscription", "quantity": 1,
    "user_id": "00000000-0000-4000-8000-000000000002", "purchased_at": "2026-11-04T00:00:00.000Z"}',
  'each with whose it is'
);
select pg_temp.buy('9' || n, 'x', 'consumable', timestamptz '2026-11-02' + n * interval '1 second') from generate_series(1, 60) as n;
select is(jsonb_array_length(pg_temp.list() -> 'waiting'), 50, 'no more than 50');
select ok(
  array(select purchases.mended(100)) = array[]::uuid[], 'a purchase of a product of another kind waits'
);
update core.scheduled_tasks set next_run_at = core.now() + interval '1 minute' where name = 'credit_purchases';
select is(pg_temp.change('a', p_kind => 'subscription') #>> '{data,kind}', 'subscription', 'until its kind is mended');
select is(
  row (pg_temp.due(), (select array_agg(t.transaction_id) from purchases.transactions as t where t.id in (select purchases.mended(100))))::text,
  '(t,{4})', 'and it is tried at the next tick'
);

select * from finish();
rollback;
