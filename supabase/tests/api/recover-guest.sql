-- recover-guest: what its procedure decides.
begin;
select plan(3);

insert into auth.users (id, is_anonymous) values
  ('00000000-0000-4000-8000-000000000001', true), ('00000000-0000-4000-8000-000000000002', true);
select accounts.admit('00000000-0000-4000-8000-000000000001');
select credits.add('00000000-0000-4000-8000-000000000001', 7, 'grant', 'a test');
create function pg_temp.recovering() returns jsonb language sql volatile as $$
  select api.recover_guest(
    '00000000-0000-4000-8000-000000000002', '{"environment": "production", "app_transaction_id": "1"}'
  )
$$;

select is(pg_temp.recovering() ->> 'error', 'ERR_4007', 'whom nobody came with is nobody');
select devices.note_app_transaction(
  '00000000-0000-4000-8000-000000000001', '{"environment": "production", "app_transaction_id": "1"}'
);
select is(pg_temp.recovering() #>> '{data,credits_moved}', '7', 'the guest is found, whose session is gone');
select is(pg_temp.recovering() #>> '{data,credits_moved}', '7', 'a second call answers the same');

select * from finish();
rollback;
