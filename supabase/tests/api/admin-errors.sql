-- admin-errors: what its procedure decides.
begin;
select plan(8);

insert into auth.users (id, is_anonymous) values ('00000000-0000-4000-8000-000000000001', false), ('00000000-0000-4000-8000-000000000002', true);
select ops.make_admin('00000000-0000-4000-8000-000000000001');
select accounts.admit('00000000-0000-4000-8000-000000000002');
create function pg_temp.page(
  p_limit integer, p_codes text[] default null, p_endpoint text default null, p_request_id text default null, p_after jsonb default null
) returns jsonb language sql volatile as $$
  select api.admin_errors('00000000-0000-4000-8000-000000000001', p_limit, p_codes, p_endpoint, p_request_id, p_after) -> 'data'
$$;
create function pg_temp.requests(p_page jsonb) returns text language sql immutable as $$
  select string_agg(e.value ->> 'request_id', ' ' order by e.ordinality) from jsonb_array_elements(p_page -> 'errors') with ordinality as e
$$;
insert into ops.error_log (minute, code, endpoint, place, occurred_at, request_id, context, count)
select date_trunc('minute', now()) - e.minutes * interval '1 minute', e.code, e.endpoint, e.place, now(), e.request, '{"error": {"message": "m"}}', 2
from (values (2, 'ERR_6003', 'models', 1, 'a'), (1, 'ERR_6001', 'models', 1, 'b'), (1, 'ERR_6003', 'credits', 1, 'c'), (1, 'ERR_6003', 'models', 1, 'd'),
  (1, 'ERR_6003', 'models', 2, 'e')) as e (minutes, code, endpoint, place, request);

select is(pg_temp.requests(pg_temp.page(9)), 'e d c b a', 'the newest minute comes first, then by code, endpoint and place');
select is(
  pg_temp.requests(pg_temp.page(2)) || ' ' || pg_temp.requests(pg_temp.page(9, p_after => pg_temp.page(2) -> 'next')), 'e d c b a',
  'the next page goes on after it'
);
select is(pg_temp.page(5) -> 'next', 'null', 'there is none at the end');
select is(pg_temp.requests(pg_temp.page(9, '{ERR_6001,ERR_6002}')), 'b', 'codes leave out the others');
select is(pg_temp.requests(pg_temp.page(9, '{ERR_6003}', 'models')), 'e d a', 'and so does an endpoint');
select is(pg_temp.requests(pg_temp.page(9, p_request_id => 'c')), 'c', 'and a request');
select is(pg_temp.page(1) #>> '{errors,0,message}', 'm', 'the message is what was thrown');
select is(
  api.admin_errors('00000000-0000-4000-8000-000000000002', 9) ->> 'error', 'ERR_4006', 'who is no admin sees nothing'
);

select * from finish();
rollback;
