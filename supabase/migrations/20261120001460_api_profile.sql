-- The procedures behind user-profile.

create function public.profile_json(p_user public.users, p_credits_remaining bigint)
returns jsonb
language sql
stable
return jsonb_build_object(
  'user_id', (p_user).id, 'display_name', (p_user).display_name, 'language', (p_user).language,
  'theme_preference', (p_user).theme_preference, 'credits_remaining', p_credits_remaining,
  'created_at', ops.to_iso((p_user).created_at)
);

revoke all on function public.profile_json(public.users, bigint) from public, anon, authenticated, service_role;
comment on function public.profile_json(public.users, bigint) is
  'A user as the API shows them; whether they are a guest, only their token says.';

create function public.read_profile(p_user_id uuid)
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
  v_user public.users;
begin
  select * into v_caller from guard.enter(p_user_id, 'user-profile', '{reads}', null);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_balance := (credits.lock_account(p_user_id)).balance;
  select u.* into strict v_user from public.users as u where u.id = p_user_id;
  return guard.answer(public.profile_json(v_user, v_balance), v_caller.limits, v_caller.language);
end;
$$;

revoke all on function public.read_profile(uuid) from public, anon, authenticated;
grant execute on function public.read_profile(uuid) to service_role;
comment on function public.read_profile(uuid) is 'Behind GET user-profile.';

create function public.update_profile(p_user_id uuid, p_changes jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Changes what `p_changes` names of `display_name` (null takes it away), `language` and `theme_preference`, and answers
-- as public.read_profile. A second call changes nothing more. Counts against `writes`.
-- Locks: rate-limit row → account → expired lots → user.
declare
  v_caller record;
  v_balance bigint;
  v_user public.users;
begin
  select * into v_caller from guard.enter(p_user_id, 'user-profile', '{writes}', null);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_balance := (credits.lock_account(p_user_id)).balance;
  update public.users as u
  set display_name = case when p_changes ? 'display_name' then p_changes ->> 'display_name' else u.display_name end,
      language = coalesce(p_changes ->> 'language', u.language),
      theme_preference = coalesce(p_changes ->> 'theme_preference', u.theme_preference)
  -- Asked again, with the row locked: what is erased from a closed account stays erased.
  where u.id = p_user_id and u.closed_at is null
  returning u.* into v_user;
  if not found then
    return guard.refusal('ERR_4005', '{}', v_caller.limits);
  end if;
  return guard.answer(public.profile_json(v_user, v_balance), v_caller.limits, v_user.language);
end;
$$;

revoke all on function public.update_profile(uuid, jsonb) from public, anon, authenticated;
grant execute on function public.update_profile(uuid, jsonb) to service_role;
comment on function public.update_profile(uuid, jsonb) is 'Behind PATCH user-profile.';
