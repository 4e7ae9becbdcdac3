-- ops: sessions of the platform's Auth. A ban and a closed account end them; the access token that lives on for up to an
-- hour is refused by every procedure.

create function ops.end_sessions(p_user_id uuid)
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

revoke all on function ops.end_sessions(uuid) from public, anon, authenticated, service_role;
comment on function ops.end_sessions(uuid) is 'Signs a user out everywhere, as Auth does it.';
