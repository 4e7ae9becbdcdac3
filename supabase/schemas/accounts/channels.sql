-- What a user hears over Realtime: one private channel, `user:<user id>`, on which nobody but the database may send.

create function accounts.may_listen(p_topic text)
returns boolean
language sql
stable
security definer
set search_path = ''
as $$
  -- Whether the caller, by the claims of their token, may hear what is sent on the channel with this topic: their own, while
  -- their session lives and they are neither suspended, closed nor merged. Who has called nothing yet has no row, and may.
  -- For the policy below, as whose role it is asked; Realtime asks when a channel is joined, and at each new token. Takes no
  -- lock; a second call asks again.
  select p_topic = 'user:' || auth.uid()::text
    and accounts.is_session(auth.uid(), (auth.jwt() ->> 'session_id')::uuid)
    and not exists (
      select from accounts.users as u where u.id = auth.uid() and (u.is_banned or accounts.is_out(u))
    )
$$;

-- Without the second, `authenticated` could not name it. It owns nothing in the schema, and may execute nothing else there.
grant execute on function accounts.may_listen(text) to authenticated;
grant usage on schema accounts to authenticated;

-- Receiving is a select, sending an insert, for which there is no policy. Of presence, which is another extension, nobody hears.
create policy listen_to_own_channel on realtime.messages for select to authenticated
  using (extension = 'broadcast' and (select accounts.may_listen(realtime.topic())));
