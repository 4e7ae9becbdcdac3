create function accounts.admit(
  p_user_id uuid, p_suspended boolean default false, out refusal jsonb, out language text, out is_new boolean
)
language plpgsql
volatile
set search_path = ''
as $$
-- Asks whether a caller may act, and makes their row and account at the first call. `refusal` is null, or what
-- to return (auth/unauthenticated for a closed account, auth/suspended for a suspended one); `language` is the user's
-- own, if any; `is_new` is true for the one call that made the row. A tombstone is never revived. With p_suspended
-- whoever is suspended may act, too.
declare
  v_user accounts.users;
begin
  is_new := false;
  select u.* into v_user from accounts.users as u where u.id = p_user_id;
  if not found then
    insert into accounts.users (id, created_at) values (p_user_id, core.now()) on conflict do nothing;
    is_new := found;
    perform credits.open_account(p_user_id);
    select u.* into strict v_user from accounts.users as u where u.id = p_user_id;
  end if;
  language := v_user.language;
  if v_user.closed_at is not null then
    refusal := guard.refusal('auth/unauthenticated');
  elsif v_user.is_banned and not p_suspended then
    refusal := guard.refusal('auth/suspended');
  end if;
end;
$$;

create function accounts.set_admin(p_user_id uuid, p_is_admin boolean)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Whether this call changed what the user is. Locks: the user's row.
begin
  update accounts.users as u set is_admin = p_is_admin where u.id = p_user_id and u.is_admin <> p_is_admin;
  return found;
end;
$$;

create function accounts.set_banned(p_user_id uuid, p_is_banned boolean)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Whether this call changed what the user is. Locks: the user's row.
begin
  update accounts.users as u set is_banned = p_is_banned where u.id = p_user_id and u.is_banned <> p_is_banned;
  return found;
end;
$$;

create function accounts.lock(
  p_user_id uuid, p_suspended boolean default false, out refusal jsonb, out account credits.accounts
)
language plpgsql
volatile
set search_path = ''
as $$
-- Locks the account of a caller who was admitted, and asks again, as accounts.admit: it may have been closed, or its
-- user suspended, while this waited. `account` is as credits.lock_account has it. Locks: account → expired lots.
begin
  account := credits.lock_account(p_user_id);
  refusal := (accounts.admit(p_user_id, p_suspended)).refusal;
end;
$$;

create function accounts.end_sessions(p_user_id uuid)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Ends all sessions of a user, with their refresh tokens, and returns how many there were. A second call finds none.
-- Locks: the user's rows of auth.sessions.
declare
  v_ended integer;
begin
  delete from auth.sessions as s where s.user_id = p_user_id;
  get diagnostics v_ended = row_count;
  return v_ended;
end;
$$;

create function accounts.find(p_user_id uuid)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Whether there is such a user. Whoever has signed up and called nothing yet gets their row and account here.
begin
  if exists (select from accounts.users as u where u.id = p_user_id) then
    return true;
  end if;
  if not exists (select from auth.users as a where a.id = p_user_id) then
    return false;
  end if;
  perform accounts.admit(p_user_id);
  return true;
end;
$$;

-- A user as the API shows them; whether they are a guest, only their token says.
create function accounts.profile_json(p_user accounts.users, p_credits_remaining bigint)
returns jsonb
language sql
stable
return jsonb_build_object(
  'user_id', (p_user).id, 'display_name', (p_user).display_name, 'language', (p_user).language,
  'theme_preference', (p_user).theme_preference, 'credits_remaining', p_credits_remaining,
  'app_account_token', (p_user).app_account_token, 'shares_consumption', (p_user).shares_consumption,
  'created_at', core.to_iso((p_user).created_at)
);
