create function api.delete_user_profile(
  p_user_id uuid, p_session_id uuid default null, p_apple_authorization_code text default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Closes the caller's account, as accounts.close does, also where they are suspended; with a code, Apple is told that the
-- person has left. `data`: `{ user_id, closed_at, subscription }`, the last one where Apple goes on with it: nobody but its
-- buyer can end it. A second call, also one at the same time, is auth/unauthenticated. Counts against `writes`. Locks:
-- rate-limit row → account → user → jobs → lots → sessions → task.
declare
  v_caller record;
  v_closed_at timestamptz;
  v_subscription jsonb;
begin
  v_caller := guard.enter(
    p_user_id, 'user-profile', '{writes}', null, p_locks => true, p_suspended => true, p_session_id => p_session_id
  );
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_closed_at := accounts.close(p_user_id);
  if p_apple_authorization_code is not null then
    perform accounts.revoke_apple_sign_in(p_user_id, p_apple_authorization_code);
  end if;
  v_subscription := purchases.subscription_of(p_user_id);
  return guard.answer(
    jsonb_build_object(
      'user_id', p_user_id, 'closed_at', core.to_iso(v_closed_at),
      -- The best of them comes first: where that one has ended, all have.
      'subscription', case when v_subscription ->> 'status' not in ('expired', 'revoked') then v_subscription end
    ),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.delete_user_profile to service_role;

create function api.get_user_profile(p_user_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The caller's profile, made at the first call: `data` is `{ user_id, display_name, language, theme_preference,
-- credits_remaining, app_account_token, shares_consumption, accepted_processors, notification_preferences, created_at, subscription,
-- export }`.
-- Counts against `reads`.
-- Locks: rate-limit row → account → expired lots.
declare
  v_caller record;
  v_user accounts.users;
begin
  v_caller := guard.enter(p_user_id, 'user-profile', '{reads}', null, p_locks => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  select u.* into strict v_user from accounts.users as u where u.id = p_user_id;
  return guard.answer(
    accounts.profile_json(v_user, v_caller.balance)
      || jsonb_build_object(
        'subscription', purchases.subscription_of(p_user_id), 'export', accounts.export_json(p_user_id)
      ),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.get_user_profile to service_role;

create function api.patch_user_profile(p_user_id uuid, p_changes jsonb, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Changes what `p_changes` names of `display_name` (null takes it away), `language`, `theme_preference`,
-- `shares_consumption`, `accepted_processors`, all of which it names, and `notification_preferences`, of which it names what
-- changes, and answers as api.get_user_profile. A second call changes nothing more. Counts against `writes`.
-- Locks: rate-limit row → account → expired lots → user.
declare
  v_caller record;
  v_user accounts.users;
begin
  v_caller := guard.enter(p_user_id, 'user-profile', '{writes}', null, p_locks => true, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  update accounts.users as u
  set display_name = case when p_changes ? 'display_name' then p_changes ->> 'display_name' else u.display_name end,
      language = coalesce(p_changes ->> 'language', u.language),
      theme_preference = coalesce(p_changes ->> 'theme_preference', u.theme_preference),
      shares_consumption = coalesce((p_changes ->> 'shares_consumption')::boolean, u.shares_consumption),
      accepted_processors = case jsonb_typeof(p_changes -> 'accepted_processors')
        when 'array' then array(select jsonb_array_elements_text(p_changes -> 'accepted_processors') order by 1)
        else u.accepted_processors
      end,
      notification_preferences = notify.with_changes(u.notification_preferences, p_changes -> 'notification_preferences')
  -- Asked with the row locked, too: what is erased from a closed account stays erased, by whatever hand it was closed.
  where u.id = p_user_id and u.closed_at is null
  returning u.* into v_user;
  if not found then
    return guard.refusal('auth/unauthenticated', '{}', v_caller.limits, v_caller.language);
  end if;
  return guard.answer(
    accounts.profile_json(v_user, v_caller.balance)
      || jsonb_build_object(
        'subscription', purchases.subscription_of(p_user_id), 'export', accounts.export_json(p_user_id)
      ),
    v_caller.limits, v_user.language
  );
end;
$$;
grant execute on function api.patch_user_profile to service_role;
