-- Keys. A claim is renewed within its own transaction, so that one session sees both halves.
begin;
select plan(5);

select is(
  guard.claim('00000000-0000-0000-0000-000000000002', 'generate-video', 'key', repeat('a', 64)), null,
  'a new key is claimed'
);
select is(
  guard.finish('00000000-0000-0000-0000-000000000002', 'generate-video', 'key', repeat('a', 64), '{"data": 1}'),
  '{"data": 1}'::jsonb, 'its outcome is given back'
);
select is(
  guard.claim('00000000-0000-0000-0000-000000000002', 'generate-video', 'key', repeat('a', 64)),
  '{"data": 1, "replayed": true}'::jsonb, 'and replayed'
);
select is(
  guard.claim('00000000-0000-0000-0000-000000000002', 'generate-video', 'key', repeat('b', 64)) ->> 'error', 'ERR_4011',
  'to the same request only'
);
select ok(
  (select k.expires_at - core.now() between interval '23 hours 59 minutes' and interval '24 hours' from guard.idempotency_keys as k),
  'for 24 hours'
);

select * from finish();
rollback;
