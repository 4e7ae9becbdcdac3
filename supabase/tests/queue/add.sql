-- Open work is there once; what is dead stands in nobody's way.
begin;
select plan(4);

select queue.add('poll', '00000000-0000-0000-0000-00000000000a', null, now());
select queue.add('poll', '00000000-0000-0000-0000-00000000000a', null, now());

select is((select count(*)::integer from queue.tasks), 1, 'open work is there once');
update queue.tasks set failed_at = now();
select queue.add('poll', '00000000-0000-0000-0000-00000000000a', null, now());
select is((select count(*)::integer from queue.tasks), 2, 'a dead letter does not stand in its way');
select throws_ok('update queue.tasks set failed_at = null', '23505', null, 'nor is it replayed beside it');
select is(
  (select t.priority from queue.tasks as t where t.failed_at is null),
  (select k.priority from queue.kinds as k where k.kind = 'poll'), 'a task has its kind''s priority'
);

select * from finish();
rollback;
