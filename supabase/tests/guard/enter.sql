-- Who may not act costs no limit.
begin;
select plan(2);

insert into accounts.users (id, closed_at) values ('00000000-0000-0000-0000-000000000001', now());
select is(
  (select e.refusal ->> 'error' from guard.enter('00000000-0000-0000-0000-000000000001', 'models', '{reads}', null) as e),
  'ERR_4005', 'who may not act'
);
select is((select count(*)::integer from guard.hits), 0, 'takes no hit of a limit');

select * from finish();
rollback;
