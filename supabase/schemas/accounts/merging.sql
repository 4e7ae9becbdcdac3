-- A guest becomes somebody who has an account already.

create table accounts.merges (
  guest_id uuid primary key,
  heir_id uuid not null,
  credits_moved bigint not null,
  jobs_moved integer not null,
  -- What the heir had after it.
  credits_remaining bigint not null,
  merged_at timestamptz not null
);
alter table accounts.merges enable row level security;
create index merges_heir on accounts.merges (heir_id);
comment on table accounts.merges is 'Which guests became whom, and what came with them; kept for good.';

-- A merge as the API shows it.
create function accounts.merge_json(p_merge accounts.merges)
returns jsonb
language sql
stable
return jsonb_build_object(
  'user_id', (p_merge).heir_id, 'merged_user_id', (p_merge).guest_id, 'credits_moved', (p_merge).credits_moved,
  'jobs_moved', (p_merge).jobs_moved, 'credits_remaining', (p_merge).credits_remaining
);

-- What is said of every token that is no guest's, or not any more: one thing, so that nobody learns which.
create function accounts.refuse_guest_token(p_limits jsonb, p_language text)
returns jsonb
language sql
stable
return guard.refusal('request/malformed', jsonb_build_object('fields', jsonb_build_array(jsonb_build_object(
  'path', 'guest_token', 'message', 'Must be the access token of a guest whose session is alive, at most 5 minutes old'
))), p_limits, p_language);

create function accounts.move_rows(p_guest_id uuid, p_heir_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Gives the rows of a guest to their heir, in every table of which they move. A second call finds none.
-- Locks: those rows, by table.
declare
  v_table accounts.personal_tables;
begin
  for v_table in
    select t.* from accounts.personal_tables as t
    where t.owner_column is not null
      and exists (
        select from accounts.privacy_classes as c where c.relation = t.relation and c.on_merge = 'moves'
      )
    -- Jobs last: what belongs to them is found by way of them.
    order by t.relation = 'videos.jobs', t.relation
  loop
    execute format(
      'update %s as t set %I = $2 where %s', v_table.relation, v_table.owner_column, v_table.rows_of
    ) using array[p_guest_id], p_heir_id;
  end loop;
end;
$$;

create function accounts.merge(p_guest_id uuid, p_heir_id uuid, p_is_recovery boolean default false)
returns accounts.merges
language plpgsql
volatile
set search_path = ''
as $$
-- Makes a guest a part of their heir, for good: credits, jobs, files and keys change hands, the guest's sessions end, the
-- heir is told, and of the guest a tombstone stays that names the heir. p_is_recovery: it was found again without its token. Nothing is forfeited or erased. The caller has locked both accounts,
-- as accounts.lock_all does, and knows that both are open. Raises serialization_failure for a guest who is suspended at this moment:
-- the caller tries the whole again.
-- Locks: both accounts → users → lots → keys → jobs and what belongs to them, tasks → sessions.
declare
  v_posted jsonb;
  v_merge accounts.merges;
  v_now constant timestamptz := core.now();
begin
  v_posted := credits.merge(p_guest_id, p_heir_id);
  update accounts.users as u set merged_into = p_heir_id where u.id = p_guest_id and not u.is_banned;
  if not found then
    raise exception 'the guest was suspended meanwhile' using errcode = 'serialization_failure';
  end if;
  insert into accounts.merges (guest_id, heir_id, credits_moved, jobs_moved, credits_remaining, merged_at)
  values (
    p_guest_id, p_heir_id, (v_posted ->> 'moved')::bigint, videos.count_jobs(p_guest_id),
    (v_posted ->> 'credits_remaining')::bigint, v_now
  )
  returning * into v_merge;
  perform guard.pass_keys(p_guest_id, p_heir_id);
  perform accounts.move_rows(p_guest_id, p_heir_id);
  perform accounts.end_sessions(p_guest_id);
  perform events.publish(
    'account.merged', p_heir_id, accounts.merge_json(v_merge) || jsonb_build_object('is_recovery', p_is_recovery)
  );
  return v_merge;
end;
$$;

create function accounts.not_recoverable(p_guest_id uuid, p_heir_id uuid)
returns text
language plpgsql
volatile
set search_path = ''
as $$
-- Why a guest whose session is lost cannot be found again by another guest; null where they can. The caller has locked both
-- accounts. Locks: the guest's row in Auth, not waited for.
declare
  v_guest accounts.users;
  v_is_anonymous boolean;
begin
  select u.* into strict v_guest from accounts.users as u where u.id = p_guest_id;
  select a.is_anonymous into v_is_anonymous from auth.users as a where a.id = p_guest_id for share nowait;
  return case
    when v_guest.closed_at is not null then 'closed'
    when v_guest.is_banned then 'suspended'
    when not coalesce(v_is_anonymous, false)
      or not coalesce((select a.is_anonymous from auth.users as a where a.id = p_heir_id), true) then 'not_guest'
    -- Another device of that Apple Account may be using it. An app that is opened refreshes its session.
    when exists (
      select from auth.sessions as s
      where s.user_id = p_guest_id
        and coalesce(s.refreshed_at at time zone 'utc', s.created_at) > core.now() - interval '7 days'
    ) then 'in_use'
  end;
end;
$$;
