create function accounts.admit(
  p_user_id uuid, p_suspended boolean default false, out refusal jsonb, out language text, out is_new boolean
)
language plpgsql
volatile
set search_path = ''
as $$
-- Asks whether a caller may act, and makes their row and account at the first call. `refusal` is null, or what
-- to return (auth/unauthenticated for a closed or merged account, auth/suspended for a suspended one); `language` is the user's
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
  if v_user.closed_at is not null or v_user.merged_into is not null then
    refusal := guard.refusal('auth/unauthenticated');
  elsif v_user.is_banned and not p_suspended then
    refusal := guard.refusal('auth/suspended');
  end if;
end;
$$;

create function accounts.heir_of(p_user_id uuid)
returns uuid
language sql
stable
set search_path = ''
as $$
  -- Who a user is by now: the one whom they were merged into, at once or by way of others, or themselves.
  with recursive heirs as (
    select u.id, u.merged_into, 0 as steps from accounts.users as u where u.id = p_user_id
    union all
    select u.id, u.merged_into, h.steps + 1 from heirs as h join accounts.users as u on u.id = h.merged_into
  )
  select h.id from heirs as h order by h.steps desc limit 1
$$;

create function accounts.with_guests(p_user_id uuid)
returns uuid[]
language sql
stable
set search_path = ''
as $$
  -- A user, and all whom they were before: the guests that were merged into them, at once or by way of others.
  with recursive guests as (
    select p_user_id as id
    union all
    select u.id from guests as g join accounts.users as u on u.merged_into = g.id
  )
  select array_agg(g.id) from guests as g
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
  'created_at', core.to_iso((p_user).created_at)
);
