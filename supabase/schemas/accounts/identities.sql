-- What Apple itself says about the identities of users: that its user consents no longer, or is no more.

create type accounts.identity_effect as enum (
  'unlinked', -- its user has the identity no longer
  'closed', -- nor an account
  'noted', -- only that it was told
  'outdated', -- its user has signed in with it since
  'nobody' -- no account is meant
);

create table accounts.identity_notifications (
  -- Apple's: the same each time that it is sent.
  notification_id text primary key check (char_length(notification_id) between 1 and 255),
  -- Apple's own words, also those that nobody here knows yet.
  type text not null check (char_length(type) between 1 and 100),
  -- Whom Apple means: their number in our apps.
  subject text check (char_length(subject) between 1 and 255),
  event_at timestamptz not null,
  received_at timestamptz not null,
  -- Who that is here; null for nobody.
  user_id uuid,
  effect accounts.identity_effect not null
);
alter table accounts.identity_notifications enable row level security;
create index identity_notifications_subject on accounts.identity_notifications (subject) where effect = 'unlinked';
create index identity_notifications_user on accounts.identity_notifications (user_id) where user_id is not null;
create index identity_notifications_of_nobody on accounts.identity_notifications (received_at) where user_id is null;
comment on table accounts.identity_notifications is 'What Apple told of identities, each notification once, and what was done.';

create function accounts.signs_in_without(p_user_id uuid, p_identity_id uuid)
returns boolean
language sql
stable
set search_path = ''
as $$
  -- Whether a user can sign in by something else than that identity.
  select exists (select from auth.identities as i where i.user_id = p_user_id and i.id is distinct from p_identity_id)
    or exists (
      select from auth.users as a where a.id = p_user_id and (a.encrypted_password <> '' or a.phone <> '')
    )
$$;

create function accounts.unlink(p_identity_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Takes an identity from its user, as Auth itself does, with the address that came by it. Whoever cannot sign in without is
-- a guest again: their sessions live, their credits stay, and they can link, merge or be found again as any guest. A second
-- call changes nothing. The caller has locked the user's row in Auth. Locks: the identity.
declare
  v_identity auth.identities;
  v_left record;
begin
  delete from auth.identities as i where i.id = p_identity_id returning i.* into v_identity;
  if not found then
    return;
  end if;
  select not accounts.signs_in_without(v_identity.user_id, null) as is_guest,
    -- The first stays the first.
    case when count(*) = 0 then '{}' else jsonb_build_object(
      'provider', (array_agg(i.provider order by i.created_at, i.id))[1],
      'providers', jsonb_agg(i.provider order by i.created_at, i.id)
    ) end as providers,
    -- An address that has become another user's stays theirs.
    (array_agg(i.email order by i.created_at, i.id) filter (where i.email <> '' and not exists (
      select from auth.users as o where o.email = i.email and o.id <> i.user_id
    )))[1] as email
  into v_left
  from auth.identities as i
  where i.user_id = v_identity.user_id;
  update auth.users as a
  set is_anonymous = v_left.is_guest,
      raw_user_meta_data = case when v_left.is_guest then '{}' else a.raw_user_meta_data end,
      raw_app_meta_data = coalesce(a.raw_app_meta_data, '{}') - array['provider', 'providers'] || v_left.providers,
      updated_at = core.now()
  where a.id = v_identity.user_id;
  update auth.users as a
  set email = v_left.email, email_confirmed_at = case when v_left.email is not null then a.email_confirmed_at end
  where a.id = v_identity.user_id and lower(a.email) = lower(v_identity.email);
end;
$$;

create function accounts.heed_identity_notification(p_type text, p_subject text, p_event_at timestamptz)
returns table (user_id uuid, effect accounts.identity_effect)
language plpgsql
volatile
set search_path = ''
as $$
-- Does what Apple tells of an identity. `consent-revoked` unlinks it, unless its user has signed in with it since, which is
-- consent anew. `account-delete` unlinks it from whoever has another way in, and closes the account of whoever has none;
-- also of whom it was taken from before, since the two come in any order. Else nothing is done. A second call finds nobody, or
-- an account that is closed. Raises lock_not_available or serialization_failure where somebody changes the user at this moment: the
-- caller tries the whole again. Locks: account → the user's row in Auth, not waited for → the identity, or as accounts.close.
declare
  v_identity record;
  v_account credits.accounts;
begin
  select i.id, i.user_id, greatest(i.created_at, i.last_sign_in_at) as used_at into v_identity
  from auth.identities as i
  where i.provider = 'apple' and i.provider_id = p_subject;
  user_id := coalesce(v_identity.user_id, (
    select n.user_id from accounts.identity_notifications as n
    where n.subject = p_subject and n.effect = 'unlinked'
    order by n.event_at desc, n.received_at desc
    limit 1
  ));
  effect := 'noted';
  if user_id is null or not accounts.find(user_id) then
    effect := 'nobody';
    user_id := null;
  elsif p_type in ('consent-revoked', 'account-delete') then
    -- First the account: who deletes the user in Auth, or merges them, has it as well.
    v_account := credits.lock_account(user_id);
    perform from auth.users as a where a.id = user_id for update nowait;
    if exists (select from auth.identities as i where i.provider = 'apple' and i.provider_id = p_subject)
      is distinct from (v_identity.id is not null)
      or accounts.heir_of(user_id) <> user_id
    then
      raise exception 'the identity has changed hands meanwhile' using errcode = 'serialization_failure';
    end if;
    if p_type = 'consent-revoked' then
      effect := case
        when v_identity.id is null then 'nobody'
        -- Clocks differ; and to end a consent that was given again is the lesser harm.
        when v_identity.used_at > p_event_at + interval '1 minute' then 'outdated'
        else 'unlinked'
      end;
    elsif accounts.signs_in_without(user_id, v_identity.id) then
      effect := case when v_identity.id is null then 'nobody' else 'unlinked' end;
    elsif accounts.close(user_id) is not null then
      effect := 'closed';
    end if;
    if effect = 'unlinked' then
      perform accounts.unlink(v_identity.id);
    end if;
  end if;
  return next;
end;
$$;

select core.keep_rows_out_of_logs('accounts.identity_notifications');
