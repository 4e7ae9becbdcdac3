create function accounts.close(p_user_id uuid)
returns timestamptz
language plpgsql
volatile
set search_path = ''
as $$
-- Closes an account, and returns when. Jobs that are pending or storing end as cancelled; those that a provider has, or
-- may have, get a `cancel` task, and end so whatever comes. What credits are left, and what comes back later, is
-- forfeited. The sessions end. Of the user a tombstone stays; what else there is of them, an `erase_account` task
-- erases. Null where there is no such account, or it is closed or merged already, which is asked before any lock: a second call
-- changes nothing. Locks: account → user → jobs → lots → sessions.
declare
  v_now timestamptz;
begin
  if not exists (select from accounts.users as u where u.id = p_user_id and u.closed_at is null and u.merged_into is null) then
    return null;
  end if;
  -- From here on no job of theirs is accepted, and none ends but here.
  perform credits.lock_account(p_user_id);
  v_now := core.now();
  perform safety.keep_profile(u) from accounts.users as u where u.id = p_user_id and u.closed_at is null;
  update accounts.users as u
  set closed_at = v_now, display_name = null, language = null, theme_preference = 'system', is_admin = false,
      shares_consumption = false, accepted_processors = '{}', notification_preferences = '{}'
  where u.id = p_user_id and u.closed_at is null and u.merged_into is null;
  if not found then
    return null;
  end if;
  perform videos.abandon_jobs(p_user_id, v_now);
  perform credits.close_account(p_user_id);
  perform accounts.end_sessions(p_user_id);
  perform queue.add('erase_account', p_user_id, p_user_id, videos.erasable_at(p_user_id));
  -- Nobody's row: it outlives what is erased.
  perform events.publish(
    'account.closed', null, jsonb_build_object('user_id', p_user_id, 'closed_at', core.to_iso(v_now))
  );
  return v_now;
end;
$$;

create function accounts.close_deleted()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
-- Whoever deletes a user in Auth closes the account with it. With the owner's rights, for Auth's own role has none
-- here. Nothing happens for whom only Auth knows, nor for a closed account, whose user the erasure deletes, nor for a
-- guest who became somebody else.
begin
  perform accounts.close(old.id);
  return old;
end;
$$;

-- Before, not after: Auth's sessions then still stand, and whoever closes the account at the same time, and ends them
-- while it is locked, waits for nothing that waits for the account.
create trigger close_account before delete on auth.users
  for each row execute function accounts.close_deleted();
