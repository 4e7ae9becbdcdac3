create function api.delete_user_profile(p_user_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Closes the caller's account. Jobs that are pending or storing end as cancelled; those that a provider has, or may have,
-- get a `cancel` task, and end so whatever comes. What credits are left, and what comes back later, is forfeited. The
-- sessions end. Of the user a tombstone stays; what else there is of them, an `erase_account` task erases.
-- `data`: `{ user_id, closed_at }`. A second call, also one at the same time, is ERR_4005. Counts against `writes`.
-- Locks: rate-limit row → account → user → jobs → lots → sessions.
declare
  v_caller record;
  v_now timestamptz;
  v_job videos.jobs;
begin
  select * into v_caller from guard.enter(p_user_id, 'user-profile', '{writes}', null);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  -- From here on no job of theirs is accepted, and none ends but here.
  perform credits.lock_account(p_user_id);
  v_now := core.now();
  update accounts.users as u
  set closed_at = v_now, display_name = null, language = null, theme_preference = 'system', is_admin = false
  where u.id = p_user_id and u.closed_at is null;
  if not found then
    return guard.refusal('ERR_4005', '{}', v_caller.limits);
  end if;

  for v_job in
    select j.* from videos.jobs as j
    where j.user_id = p_user_id and j.deleted_at is null and j.completed_at is null
    order by j.id
    for update
  loop
    update videos.jobs as j
    set cancel_requested_at = coalesce(j.cancel_requested_at, v_now)
    where j.id = v_job.id;
    if v_job.status = 'pending' or v_job.storing_at is not null then
      perform videos.settle_video_job(v_job.id, 'cancelled');
    else
      -- A request that is still on its way has no id to cancel; its answer brings the task forward.
      perform videos.add_task('cancel', v_job, coalesce(videos.sending_until(v_job.id), v_now));
    end if;
  end loop;
  perform credits.close_account(p_user_id);
  perform accounts.end_sessions(p_user_id);
  perform queue.add('erase_account', p_user_id, p_user_id, videos.erasable_at(p_user_id));
  return guard.answer(
    jsonb_build_object('user_id', p_user_id, 'closed_at', core.to_iso(v_now)), v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.delete_user_profile to service_role;

create function api.get_user_profile(p_user_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The caller's profile, made at the first call: `data` is `{ user_id, display_name, language, theme_preference,
-- credits_remaining, created_at }`. Counts against `reads`. Locks: rate-limit row → account → expired lots.
declare
  v_caller record;
  v_balance bigint;
  v_user accounts.users;
begin
  select * into v_caller from guard.enter(p_user_id, 'user-profile', '{reads}', null);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_balance := (credits.lock_account(p_user_id)).balance;
  select u.* into strict v_user from accounts.users as u where u.id = p_user_id;
  return guard.answer(accounts.profile_json(v_user, v_balance), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.get_user_profile to service_role;

create function api.patch_user_profile(p_user_id uuid, p_changes jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Changes what `p_changes` names of `display_name` (null takes it away), `language` and `theme_preference`, and answers
-- as api.get_user_profile. A second call changes nothing more. Counts against `writes`.
-- Locks: rate-limit row → account → expired lots → user.
declare
  v_caller record;
  v_balance bigint;
  v_user accounts.users;
begin
  select * into v_caller from guard.enter(p_user_id, 'user-profile', '{writes}', null);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_balance := (credits.lock_account(p_user_id)).balance;
  update accounts.users as u
  set display_name = case when p_changes ? 'display_name' then p_changes ->> 'display_name' else u.display_name end,
      language = coalesce(p_changes ->> 'language', u.language),
      theme_preference = coalesce(p_changes ->> 'theme_preference', u.theme_preference)
  -- Asked again, with the row locked: what is erased from a closed account stays erased.
  where u.id = p_user_id and u.closed_at is null
  returning u.* into v_user;
  if not found then
    return guard.refusal('ERR_4005', '{}', v_caller.limits);
  end if;
  return guard.answer(accounts.profile_json(v_user, v_balance), v_caller.limits, v_user.language);
end;
$$;
grant execute on function api.patch_user_profile to service_role;
