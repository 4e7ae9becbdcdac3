-- A tour of the ledger. Paste it into the SQL editor, or run it with psql: it plays in one transaction and leaves
-- nothing behind. ledger.out is what it prints, which `deno task test tour` checks; ../ledger.md explains it.
begin;

-- Somebody gets an account: empty, until credits are added.
select credits.open_account('00000000-0000-0000-0000-0000000000aa');

-- Credits come in lots: a gift that lives for a twentieth of a second, and a purchase that lives for ever.
select credits.add(
    '00000000-0000-0000-0000-0000000000aa', 5, 'grant', 'tour: gift',
    p_expires_at => core.now() + interval '50 milliseconds'
  ) ->> 'credits_remaining' as after_the_gift,
  credits.add('00000000-0000-0000-0000-0000000000aa', 20, 'purchase', 'tour: purchase')
    ->> 'credits_remaining' as after_the_purchase;

-- The same call again is the same posting: it answers as before and moves nothing.
select credits.add('00000000-0000-0000-0000-0000000000aa', 20, 'purchase', 'tour: purchase')
  ->> 'credits_remaining' as the_purchase_again;

-- The gift was not spent in time. What is expired is booked before anything else is decided.
select pg_sleep(0.1), (credits.lock_account('00000000-0000-0000-0000-0000000000aa')).balance;

-- A job sets its price aside, of an account that its caller has locked. What is set aside is in escrow, and cannot be
-- spent again.
select credits.hold(
    credits.lock_account('00000000-0000-0000-0000-0000000000aa'), 8, '00000000-0000-0000-0000-000000000001'
  ) ->> 'credits_remaining' as after_one_hold,
  credits.hold(
    credits.lock_account('00000000-0000-0000-0000-0000000000aa'), 8, '00000000-0000-0000-0000-000000000002'
  ) ->> 'credits_remaining' as after_two,
  credits.hold(
    credits.lock_account('00000000-0000-0000-0000-0000000000aa'), 8, '00000000-0000-0000-0000-000000000003'
  ) as a_third;

-- One job is delivered, and paid. The other is not, and its credits go back into the lot that they came from.
select credits.capture('00000000-0000-0000-0000-000000000001') ->> 'amount' as paid,
  credits.release('00000000-0000-0000-0000-000000000002') ->> 'amount' as given_back,
  credits.release('00000000-0000-0000-0000-000000000001') as too_late;

-- What the user sees, newest first. A capture is not here: it moves nothing of theirs.
select s.number, s.kind, s.amount, s.balance_after
from credits.statement('00000000-0000-0000-0000-0000000000aa', 10) as s;

-- The store takes the purchase back. Of its 20 credits 8 are spent, so the user owes them.
select r ->> 'credits_remaining' as credits_remaining, r ->> 'credits_owed' as credits_owed
from credits.transfers as t, credits.reverse(t.id, 'tour: reversal') as r
where t.posting_id = (select p.id from credits.postings as p where p.idempotency_key = 'tour: purchase');

-- Whatever comes next pays that first.
select credits.add('00000000-0000-0000-0000-0000000000aa', 10, 'purchase', 'tour: another purchase')
  ->> 'credits_remaining' as credits_remaining;

-- Both sides of every transfer of the tour: where each credit came from, and where it went.
select t.kind, f.kind as from_account, d.kind as to_account, t.amount
from credits.transfers as t
join credits.accounts as f on f.id = t.from_account_id
join credits.accounts as d on d.id = t.to_account_id
where t.owner_id = '00000000-0000-0000-0000-0000000000aa'
order by t.kind, t.amount desc;

-- So all entries together are nothing at all.
select sum(e.amount) from credits.entries as e;

-- The books cannot be improved upon, not even by their owner.
do $$
begin
  update credits.accounts set balance = 1000 where owner_id = '00000000-0000-0000-0000-0000000000aa' and kind = 'available';
exception
  when insufficient_privilege then
    raise notice '%', sqlerrm;
end;
$$;

-- An owner who lifts the guard can; but then the proof fails.
alter table credits.transfers disable trigger append_only;

update credits.transfers as t set amount = 200
from credits.accounts as a
where a.id = t.to_account_id and a.owner_id = '00000000-0000-0000-0000-0000000000aa' and t.to_number = 2 and a.kind = 'available';

select r.violation, r.details from credits.reconcile(true) as r order by r.violation;

rollback;
