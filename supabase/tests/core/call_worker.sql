-- Whoever has no pg_net calls the worker by themselves.
begin;
select plan(1);

select lives_ok('select core.call_worker()', 'without pg_net and Vault the worker is called by whoever ticks');

select * from finish();
rollback;
