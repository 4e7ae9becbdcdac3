-- Each entry carries a hash over itself and the one before.
begin;
select plan(2);

select credits.open_account('00000000-0000-0000-0000-000000000001');
select credits.add('00000000-0000-0000-0000-000000000001', 10, 'purchase', 'purchase');
select credits.hold(credits.lock_account('00000000-0000-0000-0000-000000000001'), 4, '00000000-0000-0000-0000-00000000000a');

select is(
  (select e.hash from credits.entries as e where e.number = 2),
  (
    select sha256(p.hash || timestamptz_send(e.created_at) || concat(
      e.account_id, ',', e.number, ',', e.balance_after, ',', t.from_account_id, ',', t.to_account_id, ',', t.posting_id,
      ',', t.amount, ',', e.transfer_id, ',', t.owner_id, ',', e.job_id, ',', t.reverses_id, ',', e.kind, ',', t.draws
    )::bytea)
    from credits.entries as e
    join credits.transfers as t on t.id = e.transfer_id
    join credits.entries as p on p.account_id = e.account_id and p.number = 1
    where e.number = 2
  ),
  'an entry''s hash is over the one before and its own content'
);
select is(
  (select array[a.entry_count::text, encode(a.head_hash, 'hex')] from credits.accounts as a where a.owner_id is not null),
  (select array[e.number::text, encode(e.hash, 'hex')] from credits.entries as e where e.number = 2),
  'the account knows its head'
);

select * from finish();
rollback;
