-- Whether an account is closed or merged into another, and so acts no more.
create function accounts.is_out(p_user accounts.users)
returns boolean
language sql
immutable
return (p_user).closed_at is not null or (p_user).merged_into is not null;

create function accounts.admit(
  p_user_id uuid, p_suspended boolean default false, p_session_id uuid default null,
  out refusal jsonb, out language text, out is_new boolean
)
language plpgsql
volatile
set search_path = ''
as $$
-- Asks whether a caller may act, and makes their row and account at the first call. `refusal` is null, or what
-- to return (auth/unauthenticated for a closed or merged account, and where the session of the caller's token has ended;
-- auth/suspended for a suspended account), in the user's language; `language` is that, if any; `is_new` is true for the one
-- call that made the row. A tombstone is never revived. With p_suspended whoever is suspended may act, too; the suspension has ended
-- their sessions, so none is asked for. Without p_session_id no session is asked: by whoever asks again.
declare
  v_is_out boolean;
  v_is_banned boolean;
begin
  is_new := false;
  loop
    if p_session_id is null then
      select accounts.is_out(u), u.is_banned, u.language
      into v_is_out, v_is_banned, language
      from accounts.users as u
      where u.id = p_user_id;
    else
      -- The session in the same statement. To be ready to look for one costs as much as all the rest, whether it is looked
      -- for or not.
      select accounts.is_out(u) or not u.is_banned and not exists (
          select from auth.sessions as s where s.id = p_session_id and s.user_id = p_user_id
        ),
        u.is_banned, u.language
      into v_is_out, v_is_banned, language
      from accounts.users as u
      where u.id = p_user_id;
    end if;
    exit when found;
    if p_session_id is not null and not accounts.is_session(p_user_id, p_session_id) then
      refusal := guard.refusal('auth/unauthenticated');
      return;
    end if;
    insert into accounts.users (id, created_at) values (p_user_id, core.now()) on conflict do nothing;
    is_new := found;
    perform credits.open_account(p_user_id);
  end loop;
  if v_is_out then
    refusal := guard.refusal('auth/unauthenticated', p_language => language);
  elsif v_is_banned and not p_suspended then
    refusal := guard.refusal('auth/suspended', p_language => language);
  end if;
end;
$$;

create function accounts.heir_of(p_user_id uuid)
returns uuid
language plpgsql
stable
set search_path = ''
as $$
-- Who a user is by now: the one whom they were merged into, at once or by way of others, or themselves.
begin
  return (
    with recursive heirs as (
      select u.id, u.merged_into, 0 as steps from accounts.users as u where u.id = p_user_id
      union all
      select u.id, u.merged_into, h.steps + 1 from heirs as h join accounts.users as u on u.id = h.merged_into
    )
    select h.id from heirs as h order by h.steps desc limit 1
  );
end;
$$;

create function accounts.hold_user(p_user_id uuid)
returns accounts.users
language plpgsql
volatile
set search_path = ''
as $$
-- Who a user is by now, as accounts.heir_of has it, whom nobody merges, closes or suspends before this transaction ends;
-- null where there is none. Locks: the users' rows, shared.
declare
  v_user accounts.users;
  v_id uuid := p_user_id;
begin
  loop
    select u.* into v_user from accounts.users as u where u.id = v_id for share;
    exit when v_user.merged_into is null;
    v_id := v_user.merged_into;
  end loop;
  return v_user;
end;
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
  p_user_id uuid, p_suspended boolean default false, out refusal jsonb, out language text, out account credits.accounts
)
language plpgsql
volatile
set search_path = ''
as $$
-- Locks the account of a caller who was admitted, and asks again, as accounts.admit: it may have been closed, or its
-- user suspended, while this waited. `account` is as credits.lock_account has it. Locks: account → expired lots.
begin
  account := credits.lock_account(p_user_id);
  select a.refusal, a.language into refusal, language from accounts.admit(p_user_id, p_suspended) as a;
end;
$$;

create function accounts.lock_all(p_user_ids uuid[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Locks the accounts of those who have one, for a caller who has none locked: guests first, as a merge does, and of guests
-- the older one. A second call changes nothing. Locks: accounts → expired lots.
begin
  perform credits.lock_account(o.id)
  from (
    select u.id
    from accounts.users as u
    left join auth.users as a on a.id = u.id
    where u.id = any (p_user_ids)
    order by coalesce(a.is_anonymous, false) desc, u.created_at, u.id
  ) as o;
end;
$$;

create function accounts.end_sessions(p_user_id uuid, p_but_session_id uuid default null)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Ends all sessions of a user, but one where it is named, with their refresh tokens, and returns how many there were. A
-- second call finds none.
-- Locks: the user's rows of auth.sessions.
declare
  v_ended integer;
begin
  delete from auth.sessions as s where s.user_id = p_user_id and s.id is distinct from p_but_session_id;
  get diagnostics v_ended = row_count;
  return v_ended;
end;
$$;

-- Whether it is a session of that user's, and has not ended.
create function accounts.is_session(p_user_id uuid, p_session_id uuid)
returns boolean
language sql
stable
set search_path = ''
as $$
  select exists (select from auth.sessions as s where s.id = p_session_id and s.user_id = p_user_id)
$$;

create function accounts.sessions_json(p_user_id uuid, p_session_id uuid)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- The sessions of a user, as the API shows them; p_session_id is the current one.
  select coalesce(jsonb_agg(jsonb_build_object(
    'id', s.id, 'created_at', core.to_iso(s.created_at), 'last_used_at', core.to_iso(u.last_used_at),
    'is_current', s.id = p_session_id
  ) order by u.last_used_at desc, s.id), '[]')
  from auth.sessions as s
  -- Auth writes it without a time zone.
  cross join lateral (select coalesce(s.refreshed_at at time zone 'utc', s.created_at) as last_used_at) as u
  where s.user_id = p_user_id
$$;

create function accounts.end_session(p_user_id uuid, p_session_id uuid)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Ends one session of a user, with its refresh tokens: whether it was there. Locks: its row of auth.sessions.
begin
  delete from auth.sessions as s where s.id = p_session_id and s.user_id = p_user_id;
  return found;
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
  'accepted_processors', to_jsonb((p_user).accepted_processors),
  'notification_preferences', notify.preferences_json((p_user).notification_preferences),
  'created_at', core.to_iso((p_user).created_at)
);
