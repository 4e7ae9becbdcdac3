-- merge-guest: what its procedure decides.
begin;
select plan(5);

insert into auth.users (id, is_anonymous) values
  ('00000000-0000-4000-8000-000000000001', true), ('00000000-0000-4000-8000-000000000002', false);
insert into auth.sessions (id, user_id) values
  ('00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-000000000001');
select accounts.admit('00000000-0000-4000-8000-000000000001');
select credits.add('00000000-0000-4000-8000-000000000001', 7, 'grant', 'a test');
create function pg_temp.merging(p_is_fresh boolean) returns jsonb language sql volatile as $$
  select api.merge_guest(
    '00000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000001',
    '00000000-0000-4000-8000-00000000000a', p_is_fresh
  )
$$;

select is(pg_temp.merging(false) ->> 'error', 'ERR_4008', 'a token that is not fresh merges nothing');
select is(
  pg_temp.merging(true) -> 'data',
  '{"user_id": "00000000-0000-4000-8000-000000000002", "merged_user_id": "00000000-0000-4000-8000-000000000001",
    "credits_moved": 7, "jobs_moved": 0, "credits_remaining": 7}',
  'a guest becomes a part of the caller'
);
select is(
  accounts.heir_of('00000000-0000-4000-8000-000000000001'), '00000000-0000-4000-8000-000000000002', 'they are somebody else now'
);
select is(pg_temp.merging(false) #>> '{data,credits_moved}', '7', 'a second call answers the same');
select is_empty($$select * from credits.reconcile(true)$$, 'the books are true');

select * from finish();
rollback;
