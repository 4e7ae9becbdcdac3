create function api.merge_guest(
  p_user_id uuid, p_guest_id uuid, p_guest_session_id uuid, p_is_fresh boolean, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Makes the guest of a token a part of the caller, as accounts.merge does. The token is proved to be Auth's and alive;
-- p_is_fresh says that it is young enough. `data`: `{ user_id, merged_user_id, credits_moved, jobs_moved,
-- credits_remaining }`; a second call answers the same, whatever became of the token's session since. auth/forbidden for a
-- caller who is a guest. request/malformed where the token is old or its session has ended, and for the caller's own;
-- resource/wrong-state with the status `not_guest`, `merged` (into another), `closed` or `suspended`. Counts against
-- `writes`. Locks: rate-limit row → guest's account → caller's account → the guest's row in Auth, and those of
-- accounts.merge.
declare
  v_caller record;
  v_merge accounts.merges;
  v_guest accounts.users;
  v_account credits.accounts;
  v_refusal jsonb;
  v_is_anonymous boolean;
begin
  v_caller := guard.enter(p_user_id, 'merge-guest', '{writes}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  select m.* into v_merge from accounts.merges as m where m.guest_id = p_guest_id and m.heir_id = p_user_id;
  if found then
    return guard.answer(accounts.merge_json(v_merge), v_caller.limits, v_caller.language);
  end if;
  if (select a.is_anonymous from auth.users as a where a.id = p_user_id) then
    return guard.refusal('auth/forbidden', '{}', v_caller.limits, v_caller.language);
  end if;
  if p_guest_id = p_user_id or not p_is_fresh or not accounts.find(p_guest_id) then
    return accounts.refuse_guest_token(v_caller.limits, v_caller.language);
  end if;

  -- The guest's first: nobody who has an account waits for that of a guest whom it may come to include.
  v_account := credits.lock_account(p_guest_id);
  v_refusal := (accounts.lock(p_user_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  -- Another call may have been first.
  select m.* into v_merge from accounts.merges as m where m.guest_id = p_guest_id and m.heir_id = p_user_id;
  if found then
    return guard.answer(accounts.merge_json(v_merge), v_caller.limits, v_caller.language);
  end if;
  select u.* into strict v_guest from accounts.users as u where u.id = p_guest_id;
  if v_guest.merged_into is null and v_guest.closed_at is null
    and not accounts.is_session(p_guest_id, p_guest_session_id)
  then
    return accounts.refuse_guest_token(v_caller.limits, v_caller.language);
  end if;
  -- Whoever links an identity at this moment is somebody, or comes to nothing: their row is not to be waited for, since
  -- who has it may wait for the account.
  select a.is_anonymous into v_is_anonymous from auth.users as a where a.id = p_guest_id for share nowait;
  if v_guest.merged_into is not null or v_guest.closed_at is not null or v_guest.is_banned or not coalesce(v_is_anonymous, false) then
    return guard.refusal('resource/wrong-state', jsonb_build_object('status', case
      when v_guest.merged_into is not null then 'merged'
      when v_guest.closed_at is not null then 'closed'
      when v_guest.is_banned then 'suspended'
      else 'not_guest'
    end), v_caller.limits, v_caller.language);
  end if;
  return guard.answer(accounts.merge_json(accounts.merge(p_guest_id, p_user_id)), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.merge_guest to service_role;
