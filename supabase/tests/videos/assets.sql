-- Where the files are.
begin;
select plan(1);

select is(
  (select b.public from storage.buckets as b where b.id = 'videos'), false, 'the videos'' bucket is private'
);

select * from finish();
rollback;
