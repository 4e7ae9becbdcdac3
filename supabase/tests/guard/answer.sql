-- Envelopes: what was done, or why not.
begin;
select plan(3);

select is(
  guard.refusal('payment/insufficient-credits', '{"required": 4}'), '{"error": "ERR_4001", "details": {"required": 4}}'::jsonb,
  'a refusal is a code with its details'
);
select is(
  guard.answer('{"a": null}', null, 'tr'), '{"data": {"a": null}, "language": "tr"}'::jsonb,
  'an answer keeps the nulls of its data, and leaves out what it does not have'
);

select throws_ok(
  $$select guard.refusal('no/such-error')$$, '20000', null, 'an error that is none is a mistake, and no refusal'
);

select * from finish();
rollback;
