-- generate-videos: what its procedure decides; the rest is in tests/database/videos/bulk_test.ts.
begin;
select plan(6);

insert into auth.users (id) values ('00000000-0000-4000-8000-000000000001');
select accounts.admit('00000000-0000-4000-8000-000000000001');
select credits.add_credits('00000000-0000-4000-8000-000000000001', 10, 'for a test');
create function pg_temp.asking(p_key text, p_mode text, p_fingerprint text default 'f') returns jsonb language sql volatile as $$
  select api.generate_videos(
    '00000000-0000-4000-8000-000000000001', '192.0.2.1', p_key, p_fingerprint, 'request', p_mode,
    jsonb_build_array(i.item, i.item, i.item)
  )
  from (select jsonb_build_object('model_id', '0190a000-0000-7000-8000-000000000001', 'prompt', 'A fox') as item) as i
$$;

select is(
  pg_temp.asking('all', 'all') -> 'details', '{"required": 12, "available": 10, "index": 2}', 'what all cost is too much'
);
select is(pg_temp.asking('all', 'all') ->> 'replayed', 'true', 'and stays so under that key');
select is(pg_temp.asking('any', 'any') #> '{data,credits_used}', '8', 'any are as many as can be paid');
select is(
  pg_temp.asking('any', 'any') #> '{data,results,2,error}', '{"code": "ERR_4001", "details": {"required": 4, "available": 2}}',
  'and the rest is told, by itself, in a replay as well'
);
select is(pg_temp.asking('any', 'any', 'g') ->> 'error', 'ERR_4011', 'one key is for one request');
select throws_ok(
  $$ select pg_temp.asking('some', 'some') $$, '22023', 'there is no mode some', 'there are two modes'
);

select * from finish();
rollback;
