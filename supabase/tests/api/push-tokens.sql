-- push-tokens: what its procedures decide.
begin;
select plan(13);

insert into auth.users (id) values
  ('00000000-0000-4000-8000-000000000001'), ('00000000-0000-4000-8000-000000000002'), ('00000000-0000-4000-8000-000000000003');
select accounts.admit(u.id) from auth.users as u;
create function pg_temp.token(p_number integer) returns text
language sql immutable as $$ select lpad(to_hex(p_number), 64, '0') $$;
create function pg_temp.register(p_user integer, p_number integer, p_environment text default 'production') returns jsonb
language sql volatile as $$
  select api.post_push_tokens(('00000000-0000-4000-8000-00000000000' || p_user)::uuid, pg_temp.token(p_number), p_environment)
$$;
create function pg_temp.remove(p_user integer, p_number integer) returns jsonb
language sql volatile as $$
  select api.delete_push_tokens(('00000000-0000-4000-8000-00000000000' || p_user)::uuid, pg_temp.token(p_number))
$$;
create function pg_temp.devices(p_user integer) returns text
language sql volatile as $$
  select string_agg(t.environment || ' ' || ltrim(t.token, '0'), ', ' order by t.token)
  from notify.push_tokens as t where t.user_id = ('00000000-0000-4000-8000-00000000000' || p_user)::uuid
$$;

select is(pg_temp.register(1, 1) -> 'data', '{}', 'a device is registered');
select is(pg_temp.register(1, 1) -> 'data', '{}', 'and again');
select is(pg_temp.devices(1), 'production 1', 'which is the same one');
select pg_temp.register(1, 2, 'sandbox');
select is(pg_temp.devices(1), 'production 1, sandbox 2', 'each in its environment');
select pg_temp.register(1, 2, 'production');
select is(pg_temp.devices(1), 'production 1, production 2', 'which the last call says');

select pg_temp.remove(2, 1);
select is(pg_temp.devices(1), 'production 1, production 2', 'nobody removes another''s');
select pg_temp.register(2, 1);
select is(pg_temp.devices(1), 'production 2', 'a device is no longer its user''s when another has registered it');
select is(pg_temp.devices(2), 'production 1', 'but the other''s');
select is(pg_temp.remove(2, 1) -> 'data', '{}', 'a device is removed');
select is(pg_temp.remove(2, 1) -> 'data', '{}', 'and again');
select is(pg_temp.devices(2), null, 'and is gone');

update notify.push_tokens set registered_at = registered_at - interval '1 day';
select pg_temp.register(1, n) from generate_series(3, 11) as n;
select is((select count(*)::integer from notify.push_tokens), 10, 'ten are kept');
select pg_temp.register(1, 12);
select is(
  (select array_agg(ltrim(t.token, '0') order by t.token) from notify.push_tokens as t), '{3,4,5,6,7,8,9,a,b,c}',
  'with the eleventh the oldest one goes'
);

select * from finish();
rollback;
