-- admin-webhooks: what its procedures decide.
begin;
select plan(20);

insert into auth.users (id, is_anonymous) values ('00000000-0000-4000-8000-000000000001', false), ('00000000-0000-4000-8000-000000000002', true);
select ops.make_admin('00000000-0000-4000-8000-000000000001');
select accounts.admit('00000000-0000-4000-8000-000000000002');
update guard.policies set max_hits = 300 where name = 'admin';
create function pg_temp.id(p_number integer) returns uuid language sql immutable as $$
  select ('00000000-0000-4000-8000-0000000001' || lpad(p_number::text, 2, '0'))::uuid
$$;
create function pg_temp.make(p_number integer, p_types text[] default '{video.*}') returns jsonb language sql volatile as $$
  select api.post_admin_webhooks(
    '00000000-0000-4000-8000-000000000001', 'r', pg_temp.id(p_number), 'https://hooks.example.com/secret-path', p_types, 'v1.c2VhbGVk',
    'for a reason'
  )
$$;
create function pg_temp.change(p_url text default null, p_types text[] default null, p_is_enabled boolean default null, p_sealed text default null)
returns jsonb language sql volatile as $$
  select api.patch_admin_webhooks(
    '00000000-0000-4000-8000-000000000001', 'r', pg_temp.id(1), 'for a reason', p_url, p_types, p_is_enabled, p_sealed
  )
$$;
create function pg_temp.actions() returns bigint language sql stable as $$
  select count(*) from ops.admin_actions as a where a.subject = 'webhook ' || pg_temp.id(1)
$$;
create function pg_temp.heard() returns text[] language sql stable as $$
  select array_agg(s.pattern order by s.pattern) from events.subscriptions as s where s.channel = 'webhook' and s.target = pg_temp.id(1)
$$;

select is(pg_temp.make(1) #>> '{data,is_enabled}', 'true', 'a webhook is made');
select is(pg_temp.heard(), '{video.*}', 'it hears what it asked for');
select throws_ok($$ select pg_temp.make(2, '{invented.*}') $$, '23514', null, 'a pattern that fits nothing is none');
select is(
  api.post_admin_webhooks('00000000-0000-4000-8000-000000000002', 'r', pg_temp.id(3), 'https://a.example.com/', '{#}', 'v1.eA==', 'why so')
    ->> 'error',
  'ERR_4006', 'who is no admin makes none'
);
select is(pg_temp.change(p_types => '{#,alert.*}') #> '{data,types}', '["#", "alert.*"]', 'its types are changed');
select is(pg_temp.heard(), '{#,alert.*}', 'and it hears those');
select is(pg_temp.actions(), 2::bigint, 'each change is written down');
select pg_temp.change(p_types => '{#,alert.*}');
select is(pg_temp.actions(), 2::bigint, 'what changes nothing is not');
select pg_temp.change(p_sealed => 'v1.b3RoZXI=');
select is(
  (select array_agg(s.sealed order by s.expires_at nulls first) from webhooks.secrets as s where s.webhook_id = pg_temp.id(1)),
  '{v1.b3RoZXI=,v1.c2VhbGVk}', 'a secret that is replaced stays'
);
select is(
  (select s.expires_at - s.created_at from webhooks.secrets as s where s.sealed = 'v1.c2VhbGVk' and s.webhook_id = pg_temp.id(1)) > '23:59:59',
  true, 'for 24 hours'
);
select pg_temp.change(p_sealed => 'v1.' || encode(convert_to('secret ' || n, 'utf8'), 'base64')) from generate_series(1, 9) as n;
select is(
  (select count(*) from webhooks.secrets as s where s.webhook_id = pg_temp.id(1)), 5::bigint, 'five sign at once, however often it is replaced'
);
select events.publish('video.started', null, '{}');
select is(pg_temp.change(p_is_enabled => false) #>> '{data,disabled_reason}', 'admin', 'it is disabled');
select is(pg_temp.heard(), null, 'and hears nothing');
select is(
  (select d.outcome || ' ' || d.reason from events.deliveries as d where d.target = pg_temp.id(1)), 'dropped the webhook is disabled',
  'what waited is dropped'
);
select is((select count(*) from queue.tasks as t where t.lane = pg_temp.id(1)::text), 0::bigint, 'with its task');
select pg_temp.change(p_types => '{video.*}');
select is(pg_temp.heard(), null, 'a change does not enable it');
select pg_temp.change(p_is_enabled => true);
select is(pg_temp.heard(), '{video.*}', 'enabled, it hears');
select doesnt_match(
  (select string_agg(a::text, '') from ops.admin_actions as a where a.subject like 'webhook %'), 'secret-path|c2VhbGVk|b3RoZXI',
  'the record has neither the secret nor the path of its address'
);
select is(
  (select array_agg(made.answer #>> '{details,status}') from (select pg_temp.make(n) as answer from generate_series(2, 21) as n) as made),
  array_fill(null::text, array[19]) || 'too_many'::text, 'there are 20 at most'
);
select is(
  (
    select array_agg(d.answer ->> 'error') from (
      select api.delete_admin_webhooks('00000000-0000-4000-8000-000000000001', 'r', pg_temp.id(1), 'for a reason') as answer
      from generate_series(1, 2)
    ) as d
  ),
  array[null, 'ERR_4007'], 'one that is deleted is gone'
);

select * from finish();
rollback;
