-- admin-webhook-deliveries: what its procedures decide.
begin;
select plan(13);

insert into auth.users (id, is_anonymous) values ('00000000-0000-4000-8000-000000000001', false), ('00000000-0000-4000-8000-000000000002', true);
select ops.make_admin('00000000-0000-4000-8000-000000000001');
select accounts.admit('00000000-0000-4000-8000-000000000002');
select webhooks.add(
  ('00000000-0000-4000-8000-00000000010' || n)::uuid, 'https://hooks.example.com/', array[(array['video.started', 'alert.raised'])[n]], 'v1.eA=='
)
from generate_series(1, 2) as n;
create function pg_temp.page(p_limit integer, p_status text default null, p_after jsonb default null) returns jsonb language sql volatile as $$
  select api.get_admin_webhook_deliveries(
    '00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000101', p_limit, p_status, p_after
  ) -> 'data'
$$;
create function pg_temp.send(p_delivery_id uuid default null, p_webhook_id uuid default null) returns jsonb language sql volatile as $$
  select api.post_admin_webhook_deliveries(
    '00000000-0000-4000-8000-000000000001', 'r', p_delivery_id, p_webhook_id, case when p_webhook_id is not null then true end
  )
$$;
create function pg_temp.newest() returns uuid language sql volatile as $$
  select (pg_temp.page(1) #>> '{deliveries,0,delivery_id}')::uuid
$$;

select events.publish('video.started', null, jsonb_build_object('n', n)) from generate_series(1, 3) as n;
select is(jsonb_array_length(pg_temp.page(9) -> 'deliveries'), 3, 'a webhook was told what it asked for');
select is(
  (select count(distinct d ->> 'delivery_id') from jsonb_array_elements(
    (pg_temp.page(2) -> 'deliveries') || (pg_temp.page(2, null, pg_temp.page(2) -> 'next') -> 'deliveries')
  ) as d),
  3::bigint, 'the next page goes on after it'
);
select is(pg_temp.page(3) -> 'next', 'null', 'there is none at the end');
select events.end_delivery(pg_temp.newest(), 'delivered');
select is(jsonb_array_length(pg_temp.page(9, 'pending') -> 'deliveries'), 2, 'what is delivered waits no more');
select is(jsonb_array_length(pg_temp.page(9, 'delivered') -> 'deliveries'), 1, 'and is among the delivered ones');
select is(jsonb_array_length(pg_temp.page(9, 'dead') -> 'deliveries'), 0, 'and among no others');
select throws_ok($$ select pg_temp.page(9, 'invented') $$, '22P02', null, 'there is no other status');
select is(pg_temp.send(pg_temp.newest()) #>> '{data,status}', 'pending', 'what ended is sent again');
update queue.tasks set run_at = core.now() + interval '1 day' where subject = pg_temp.newest();
select pg_temp.send(pg_temp.newest());
select is(
  (select t.run_at <= core.now() from queue.tasks as t where t.subject = pg_temp.newest()), true, 'what waits is tried at once'
);
select is(
  pg_temp.send(p_webhook_id => '00000000-0000-4000-8000-000000000102') #>> '{data,type}', 'webhook.test', 'a test is sent whatever was asked for'
);
select is(pg_temp.send(gen_random_uuid()) ->> 'error', 'ERR_4007', 'a delivery that is not there is not sent');
select webhooks.change('00000000-0000-4000-8000-000000000101', null, null, false);
select is(pg_temp.send(pg_temp.newest()) #>> '{details,status}', 'disabled', 'nor one of a webhook that is disabled');
select is(
  api.get_admin_webhook_deliveries('00000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000101', 9) ->> 'error', 'ERR_4006',
  'who is no admin sees nothing'
);

select * from finish();
rollback;
