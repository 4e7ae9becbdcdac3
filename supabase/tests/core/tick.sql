-- What the clock runs, and what it tells.
begin;
select plan(3);

select throws_ok(
  $$insert into core.scheduled_tasks (name, procedure, every) values ('a', 'drop table x; --', '1 minute')$$,
  '23514', null, 'a scheduled procedure is a name and nothing more'
);
select throws_ok(
  $$insert into core.scheduled_tasks (name, procedure, every) values ('a', 'core.tick', '1 millisecond')$$,
  '23514', null, 'nothing is due more than once a second'
);

select ok(core.tick() >= 0, 'a tick tells how many tasks wait');

select * from finish();
rollback;
