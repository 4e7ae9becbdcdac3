create function api.recover_guest(
  p_user_id uuid, p_app_transaction jsonb, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Makes the guest who was noted for an Apple Account a part of the caller, who is a guest, too; `{ environment,
-- app_transaction_id }` is verified, and was signed a moment ago. `data` is as in api.merge_guest; a second call answers the
-- same. resource/not-found where nobody was noted, or the caller; resource/wrong-state with the status `not_guest` where
-- either has an identity, `in_use` while the guest's session is in use, which is so for 7 days after its last use,
-- `recovered` within a day of the last time, `closed` or `suspended`. Counts against `writes`. Locks: rate-limit row →
-- both accounts, the older guest's first → the guest's row in Auth, and those of accounts.merge.
declare
  v_caller record;
  v_found devices.app_transactions;
  v_merge accounts.merges;
  v_refusal jsonb;
  v_status text;
begin
  v_caller := guard.enter(p_user_id, 'recover-guest', '{writes}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_found := devices.find_guest(p_app_transaction);
  if v_found.user_id = p_user_id then
    select m.* into v_merge from accounts.merges as m where m.heir_id = p_user_id order by m.merged_at desc limit 1;
    if found then
      return guard.answer(accounts.merge_json(v_merge), v_caller.limits, v_caller.language);
    end if;
  end if;
  if v_found.user_id is null or v_found.user_id = p_user_id then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;

  -- What was found is asked again: another call may have been first.
  perform accounts.lock_all(array[v_found.user_id, p_user_id]);
  v_refusal := (accounts.lock(p_user_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  if (devices.find_guest(p_app_transaction)).user_id is distinct from v_found.user_id then
    return guard.refusal('resource/wrong-state', '{"status": "recovered"}', v_caller.limits, v_caller.language);
  end if;
  v_status := accounts.not_recoverable(v_found.user_id, p_user_id);
  if v_status is null and v_found.recovered_at > core.now() - interval '1 day' then
    v_status := 'recovered';
  end if;
  if v_status is not null then
    return guard.refusal('resource/wrong-state', jsonb_build_object('status', v_status), v_caller.limits, v_caller.language);
  end if;
  perform devices.note_recovery(v_found);
  return guard.answer(
    accounts.merge_json(accounts.merge(v_found.user_id, p_user_id, true)), v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.recover_guest to service_role;
