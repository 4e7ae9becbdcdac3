-- Prices are whole credits, by the video or by the second.
begin;
select plan(3);

create function pg_temp.model(p_id text) returns videos.models language sql
as $$ select m from videos.models as m where m.id = ('0190a000-0000-7000-8000-00000000000' || p_id)::uuid $$;

select is(videos.price(pg_temp.model('1'), '{"duration_seconds": 5}'), 4::bigint, 'a price by the video');
select is(videos.price(pg_temp.model('2'), '{"duration_seconds": 8}'), 8::bigint, 'a price by the second');
select throws_ok(
  $$select videos.price(pg_temp.model('2'), '{"duration_seconds": 1.5}')$$, '22P02', null,
  'no price has a fraction'
);

select * from finish();
rollback;
