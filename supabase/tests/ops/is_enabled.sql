-- Switches.
begin;
select plan(3);

select ok(ops.is_enabled('generation'), 'generation is on');
select ok(ops.is_enabled('never heard of'), 'a feature that nobody named is on');
update ops.feature_flags set is_enabled = false where key = 'generation';
select ok(not ops.is_enabled('generation'), 'what is switched off is off');

select * from finish();
rollback;
