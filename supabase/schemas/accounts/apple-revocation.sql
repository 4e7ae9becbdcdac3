-- Taking back a person's consent to Sign in with Apple, when their account is closed.

create function accounts.revoke_apple_sign_in(p_user_id uuid, p_authorization_code text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Has Apple told, by a `revoke_apple_sign_in` task, that a person has left; the code is the app's, and good for 5 minutes.
-- The task has no owner: an account is erased within the hour, and Apple may be away for a day. It holds the code, then what
-- Apple gave for it, and nothing once it is done. A second code before the first was used takes its place. Locks: the task.
begin
  perform queue.add(
    'revoke_apple_sign_in', p_user_id, null, core.now(), jsonb_build_object('authorization_code', p_authorization_code)
  );
end;
$$;

create function accounts.note_unrevoked(p_user_id uuid, p_cause text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Tells the operator that a person's Sign in with Apple was not revoked, and will not be. Locks: the alert.
begin
  perform ops.raise_alert(
    'apple_sign_in_not_revoked', p_user_id::text, jsonb_build_object('cause', left(p_cause, 200))
  );
end;
$$;

create function accounts.note_revoked(p_user_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- A person's Sign in with Apple is revoked: nothing is left to try, and nothing for the operator to know. Locks: task → alert.
begin
  perform queue.drop(p_user_id, '{revoke_apple_sign_in}');
  perform ops.withdraw_alert('apple_sign_in_not_revoked', p_user_id::text);
end;
$$;

create function accounts.give_up_revocation(p_user_id uuid, p_cause text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- A `revoke_apple_sign_in` task has no try left: the operator is told, and what it held is gone with it. A second call
-- tells once more. Locks: task → alert.
begin
  perform queue.drop(p_user_id, '{revoke_apple_sign_in}');
  perform accounts.note_unrevoked(p_user_id, 'Apple could not be reached in all tries');
end;
$$;
