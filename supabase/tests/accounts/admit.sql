-- Who may act, and who is made by asking.
begin;
select plan(6);

select is(
  (select row(a.refusal, a.language, a.is_new)::text from accounts.admit('00000000-0000-0000-0000-000000000001') as a),
  '(,,t)', 'a first call makes the user'
);
select is(
  (select count(*)::integer from credits.accounts as a where a.owner_id = '00000000-0000-0000-0000-000000000001'), 1,
  'and the account'
);
select is(
  (select a.is_new from accounts.admit('00000000-0000-0000-0000-000000000001') as a), false,
  'a second call finds them'
);

update accounts.users set is_banned = true, language = 'tr' where id = '00000000-0000-0000-0000-000000000001';
select is(
  (select a.refusal ->> 'error' from accounts.admit('00000000-0000-0000-0000-000000000001') as a), 'ERR_4017',
  'a banned user is suspended'
);

update accounts.users set closed_at = now(), language = null where id = '00000000-0000-0000-0000-000000000001';
select is(
  (select a.refusal ->> 'error' from accounts.admit('00000000-0000-0000-0000-000000000001') as a), 'ERR_4005',
  'a closed account is gone, also for a banned user'
);
select isnt(
  (select u.closed_at from accounts.users as u where u.id = '00000000-0000-0000-0000-000000000001'), null,
  'and asking does not revive it'
);

select * from finish();
rollback;
