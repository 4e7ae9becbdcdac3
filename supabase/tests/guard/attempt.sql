-- Windows and buckets: two an hour, and one at once with a token a second.
begin;
select plan(5);

create function pg_temp.attempt(p_hits timestamptz[], p_full_at timestamptz, p_policy text)
returns text language sql as $$
  select format('%s %s', cardinality(a.hits), case when a.admitted then 'admitted' else 'refused' end)
  from guard.attempt(
    p_hits, p_full_at, now(), case p_policy when 'window' then 2 else 1 end, interval '1 hour',
    case p_policy when 'bucket' then interval '1 second' end
  ) as a
$$;

select is(
  pg_temp.attempt(array[now() - interval '2 hours', now() - interval '1 minute'], null, 'window'), '2 admitted',
  'what left the window makes room'
);
select is(
  pg_temp.attempt(array[now() - interval '1 hour', now() - interval '1 minute'], null, 'window'), '2 admitted',
  'and leaves it when it is as old as the window is long'
);
select is(
  pg_temp.attempt(array[now() - interval '2 minutes', now() - interval '1 minute'], null, 'window'), '2 refused',
  'a full window admits nothing and keeps its hits'
);
select is(pg_temp.attempt('{}', null, 'window'), '1 admitted', 'an empty window admits');
select is(
  array[
    pg_temp.attempt('{}', null, 'bucket'), pg_temp.attempt('{}', now(), 'bucket'),
    pg_temp.attempt('{}', now() + interval '1 microsecond', 'bucket')
  ],
  array['0 admitted', '0 admitted', '0 refused'], 'a bucket admits while it has a token'
);

select * from finish();
rollback;
