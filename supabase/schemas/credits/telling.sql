create function credits.tell()
returns trigger
language plpgsql
set search_path = ''
as $$
-- Tells what moved the balance that a user sees. A hold is not told, since whoever accepts has the answer; nor what leaves a
-- guest's account for their heir's, or moves in a closed one.
declare
  v_account_id bigint;
begin
  select a.id into v_account_id
  from credits.accounts as a
  where a.id in (new.from_account_id, new.to_account_id) and a.kind = 'available' and a.unit = 'credit'
    and a.merged_into is null
    -- Its jobs end, and give back, a moment before the ledger closes it.
    and not exists (select from accounts.users as u where u.id = new.owner_id and u.closed_at is not null);
  if found then
    perform events.publish('credits.changed', new.owner_id, jsonb_build_object(
      'credits_remaining', case when v_account_id = new.from_account_id then new.from_balance else new.to_balance end,
      'amount', case when v_account_id = new.from_account_id then -new.amount else new.amount end,
      'kind', new.kind, 'job_id', new.job_id
    ));
  end if;
  return null;
end;
$$;

create trigger tell after insert on credits.transfers
  for each row when (new.kind not in ('hold', 'capture', 'forfeit')) execute function credits.tell();
