-- Whoever has no pg_net calls the worker by themselves.
begin;
select plan(2);

select lives_ok('select core.call_worker()', 'without pg_net and Vault the worker is called by whoever ticks');
select lives_ok('select core.wake_worker()', 'nor is it where no task waits');

select * from finish();
rollback;
