-- What the clock runs, and what it tells.
begin;
select plan(4);

select throws_ok(
  $$insert into core.scheduled_tasks (name, procedure, every) values ('a', 'drop table x; --', '1 minute')$$,
  '23514', null, 'a scheduled procedure is a name and nothing more'
);
select throws_ok(
  $$insert into core.scheduled_tasks (name, procedure, every) values ('a', 'core.tick', '1 millisecond')$$,
  '23514', null, 'nothing is due more than once a second'
);

select throws_ok('call core.tick()', '2D000', null, 'a tick commits, and so is no part of a transaction');
select is(core.claim_task('no such task'), null, 'what is not scheduled has no run');

select * from finish();
rollback;
