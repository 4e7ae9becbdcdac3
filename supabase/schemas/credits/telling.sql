create function credits.tell(p_transfer credits.transfers)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Tells what moved the balance that a user sees. Nothing is told of what leaves a guest's account for their heir's, or moves
-- in a closed one.
declare
  v_account_id bigint;
begin
  select a.id into v_account_id
  from credits.accounts as a
  where a.id in (p_transfer.from_account_id, p_transfer.to_account_id) and a.kind = 'available' and a.unit = 'credit'
    and a.merged_into is null
    -- Its jobs end, and give back, a moment before the ledger closes it.
    and not exists (select from accounts.users as u where u.id = p_transfer.owner_id and u.closed_at is not null);
  if found then
    perform events.publish('credits.changed', p_transfer.owner_id, jsonb_build_object(
      'credits_remaining',
      case when v_account_id = p_transfer.from_account_id then p_transfer.from_balance else p_transfer.to_balance end,
      'amount', case when v_account_id = p_transfer.from_account_id then -p_transfer.amount else p_transfer.amount end,
      'kind', p_transfer.kind, 'job_id', p_transfer.job_id
    ));
  end if;
end;
$$;
