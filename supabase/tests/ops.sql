-- Time, ids, switches, the clock's work, and what admins did.
begin;
select plan(21);

-- The version and variant digits of RFC 9562.
select matches(
  core.new_id()::text, '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$',
  'a new id is a UUID of version 7'
);
select ok(
  (
    select abs(
      ('x' || left(replace(core.new_id()::text, '-', ''), 12))::bit(48)::bigint
        - extract(epoch from clock_timestamp()) * 1000
    ) < 1000
  ),
  'its first 48 bits are the milliseconds of now'
);
select is(
  (select count(distinct core.new_id())::integer from generate_series(1, 10000)), 10000,
  'ten thousand of them differ'
);

set local timezone = 'Asia/Tokyo';
select is(
  core.to_iso('2026-11-20 12:00:00.5+00'), '2026-11-20T12:00:00.500Z',
  'a time is shown in UTC with milliseconds, whatever the session''s time zone'
);
select is(core.to_iso(null), null, 'no time is no text');

select ok(ops.is_enabled('generation'), 'generation is on');
select ok(ops.is_enabled('never heard of'), 'a feature that nobody named is on');
update ops.feature_flags set is_enabled = false where name = 'generation';
select ok(not ops.is_enabled('generation'), 'what is switched off is off');

select throws_ok(
  $$insert into core.scheduled_tasks (name, procedure, every) values ('a', 'drop table x; --', '1 minute')$$,
  '23514', null, 'a scheduled procedure is a name and nothing more'
);
select throws_ok(
  $$insert into core.scheduled_tasks (name, procedure, every) values ('a', 'core.tick', '1 millisecond')$$,
  '23514', null, 'nothing is due more than once a second'
);
select lives_ok('select core.call_worker()', 'without pg_net and Vault the worker is called by whoever ticks');
select ok(core.tick() >= 0, 'a tick tells how many tasks wait');

-- What admins did: each row says what its action needs, and no more.
prepare act (ops.admin_action, uuid, uuid, bigint, uuid, uuid, text) as
  insert into ops.admin_actions (action, user_id, model_id, amount, transfer_id, job_id, reason, created_at)
  values ($1, $2, $3, $4, $5, $6, $7, now());
select lives_ok(
  $$execute act('refund_credits', gen_random_uuid(), null, 4, gen_random_uuid(), '00000000-0000-0000-0000-00000000000a', 'why')$$,
  'a refund names user, amount, transfer and job'
);
select throws_ok(
  $$execute act('refund_credits', gen_random_uuid(), null, 4, gen_random_uuid(), '00000000-0000-0000-0000-00000000000a', 'why')$$,
  '23505', null, 'a job is refunded once'
);
select throws_ok(
  $$execute act('adjust_credits', gen_random_uuid(), null, 4, gen_random_uuid(), gen_random_uuid(), 'why')$$,
  '23514', null, 'an adjustment is for no job'
);
select throws_ok(
  $$execute act('adjust_credits', gen_random_uuid(), null, 4, null, null, 'why')$$,
  '23514', null, 'credits move by a transfer'
);
select throws_ok(
  $$execute act('ban', gen_random_uuid(), null, 4, gen_random_uuid(), null, 'why')$$,
  '23514', null, 'a ban moves no credits'
);
select throws_ok(
  $$execute act('disable_model', gen_random_uuid(), gen_random_uuid(), null, null, null, 'why')$$,
  '23514', null, 'a model is no user'
);
select throws_ok(
  $$execute act('ban', null, null, null, null, null, 'why')$$, '23514', null, 'somebody is banned'
);
select throws_ok(
  $$execute act('ban', gen_random_uuid(), null, null, null, null, 'no')$$, '23514', null, 'a reason has 3 characters or more'
);
select throws_ok(
  'delete from ops.admin_actions', '42501', null, 'what an admin did is never deleted, by the owner neither'
);

select * from finish();
rollback;
