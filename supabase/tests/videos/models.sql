-- The catalogue.
begin;
select plan(4);

insert into accounts.users (id, created_at) values ('00000000-0000-0000-0000-000000000002', now());

select throws_ok('delete from videos.models', '23001', null, 'a model is never deleted');
select throws_ok('truncate videos.models cascade', '23001', null, 'nor truncated');
select throws_ok(
  $$update videos.models set options = jsonb_set(options, '{resolution,default}', '"8k"')$$, '23514', null,
  'a default is one of the values'
);
update videos.models set is_available = false where position = 1;
select is(
  (
    select jsonb_array_length(api.models('00000000-0000-0000-0000-000000000002') #> '{data,models}')
  ), (select count(*)::integer - 1 from videos.models), 'what is not available is not listed'
);

select * from finish();
rollback;
