-- What the rows of the kinds must keep.
begin;
select plan(1);

select ok(
  (select bool_and(k.timeout_seconds > 30) from queue.kinds as k),
  'every attempt outlives the 30 s of a submission'
);

select * from finish();
rollback;
