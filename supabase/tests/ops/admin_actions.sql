-- What admins did: each row says what its action needs, and no more.
begin;
select plan(9);

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
