-- What the handler of `read_provider_accounts` calls, in _shared/videos/accounts.ts.

create function api.record_provider_accounts(p_task_id bigint, p_attempt integer, p_accounts jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Notes what providers say of our account, and ends the task: p_accounts is `[{ provider, balance_cents, is_locked, day,
-- billed_cents }]`. `data`: `{ finished }`, false for an attempt that has lost its task, which notes nothing. Locks: task →
-- accounts, in the order of their names.
declare
  v_account record;
begin
  if not queue.finish(p_task_id, p_attempt) then
    return guard.answer('{"finished": false}');
  end if;
  for v_account in
    select a.*
    from jsonb_to_recordset(p_accounts) as a (
      provider text, balance_cents numeric, is_locked boolean, day date, billed_cents numeric
    )
    join videos.providers as v on v.name = a.provider
    order by a.provider
  loop
    perform videos.note_provider_account(
      v_account.provider, v_account.balance_cents, v_account.is_locked, v_account.day, v_account.billed_cents
    );
  end loop;
  return guard.answer('{"finished": true}');
end;
$$;
grant execute on function api.record_provider_accounts to service_role;
