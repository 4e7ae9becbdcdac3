-- What a user hears over Realtime: one private channel, `user:<user id>`, on which nobody but the database may send.

-- Its name.
create function accounts.channel_of(p_user_id uuid)
returns text
language sql
immutable
return 'user:' || p_user_id::text;

create function accounts.is_active(p_user_id uuid)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
-- Whether a user is neither suspended, closed nor merged. Who has called nothing yet has no row, and is. Not in SQL, which
-- would be planned anew at each event.
begin
  return not exists (
    select from accounts.users as u where u.id = p_user_id and (u.is_banned or accounts.is_out(u))
  );
end;
$$;

create function accounts.may_listen(p_topic text)
returns boolean
language sql
stable
security definer
set search_path = ''
as $$
  -- Whether the caller, by the claims of their token, may hear what is sent on the channel with this topic: their own, while
  -- their session lives and they are active. For the policy below, as whose role it is asked; Realtime asks when a channel is
  -- joined, and at each new token. Takes no lock; a second call asks again.
  select p_topic = accounts.channel_of(auth.uid())
    and accounts.is_session(auth.uid(), (auth.jwt() ->> 'session_id')::uuid) and accounts.is_active(auth.uid())
$$;

-- Who may not use a schema cannot name what is in it. There is nothing else in this one that `authenticated` may use.
grant execute on function accounts.may_listen(text) to authenticated;
grant usage on schema accounts to authenticated;

-- Receiving is a select, sending an insert, for which there is no policy. Of presence, which is another extension, nobody hears.
create policy listen_to_own_channel on realtime.messages for select to authenticated
  using (extension = 'broadcast' and (select accounts.may_listen(realtime.topic())));
