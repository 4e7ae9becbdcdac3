-- A legal hold keeps what there is of a person from being erased: by its user, by closing the account, by retention.

create table safety.holds (
  user_id uuid primary key,
  held_at timestamptz not null,
  -- What closing the account takes off the tombstone at once: `{ display_name, language }`. Null while it is open.
  profile jsonb
);
alter table safety.holds enable row level security;
comment on table safety.holds is 'Whose data the operator keeps as evidence; why stands in ops.admin_actions.';

create function safety.is_held(p_user_id uuid)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
-- Whether a user, or a guest whom they were, is under a legal hold.
begin
  return exists (select from safety.holds)
    and exists (select from safety.holds as h where h.user_id = any (accounts.with_guests(p_user_id)));
end;
$$;

create function safety.hold(p_user_id uuid)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Puts a user under hold: whether they were not before. What a worker is removing at this moment may still go.
begin
  insert into safety.holds (user_id, held_at) values (p_user_id, core.now()) on conflict (user_id) do nothing;
  return found;
end;
$$;

create function safety.lift_hold(p_user_id uuid)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Lifts the hold of a user, and of the guests whom they were: whether there was one. What waited for it is done now. Locks:
-- tasks.
begin
  delete from safety.holds as h where h.user_id = any (accounts.with_guests(p_user_id));
  if not found then
    return false;
  end if;
  perform queue.hasten_of(accounts.heir_of(p_user_id), '{erase_account,delete_files,tidy_upload}');
  return true;
end;
$$;

create function safety.keep_profile(p_user accounts.users)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- What the user told of themselves, before closing the account takes it off. Without a hold nothing is kept.
begin
  update safety.holds as h
  set profile = jsonb_build_object('display_name', p_user.display_name, 'language', p_user.language)
  where h.user_id = any (accounts.with_guests(p_user.id));
end;
$$;

select core.keep_rows_out_of_logs('safety.holds');
