-- A window: two an hour.
begin;
select plan(4);

create function pg_temp.attempt(p_hits timestamptz[])
returns text language sql as $$
  select format('%s %s', cardinality(a.hits), case when a.admitted then 'admitted' else 'refused' end)
  from guard.attempt(p_hits, now(), 2, interval '1 hour') as a
$$;
select is(
  pg_temp.attempt(array[now() - interval '2 hours', now() - interval '1 minute']), '2 admitted',
  'what left the window makes room'
);
select is(
  pg_temp.attempt(array[now() - interval '1 hour', now() - interval '1 minute']), '2 admitted',
  'and leaves it when it is as old as the window is long'
);
select is(
  pg_temp.attempt(array[now() - interval '2 minutes', now() - interval '1 minute']), '2 refused',
  'a full window admits nothing and keeps its hits'
);
select is(pg_temp.attempt('{}'), '1 admitted', 'an empty window admits');

select * from finish();
rollback;
