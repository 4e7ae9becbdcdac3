create table accounts.erasures (
  user_id uuid primary key,
  closed_at timestamptz not null,
  erased_at timestamptz not null,
  -- How many of each kind.
  erased jsonb not null,
  -- When the rule `closed_accounts` has deleted the jobs, too.
  swept_at timestamptz
);
alter table accounts.erasures enable row level security;
create index erasures_remaining on accounts.erasures (erased_at) where swept_at is null;
comment on table accounts.erasures is 'The proof that what a closed account left behind was erased; kept for good.';

-- Which rows of a table are a person's. What stands here is erased, exported and merged; a table that is not here is
-- about nobody, and says so in accounts.privacy_classes.
create table accounts.personal_tables (
  relation text primary key check (relation ~ '^[a-z_]+\.[a-z_]+$'),
  -- A condition of the row `t`, in which $1 is an array of users' ids.
  rows_of text not null,
  -- The column that names whose the row is, of a table whose rows move when a guest is merged.
  owner_column text check (owner_column ~ '^[a-z_]+$')
);
alter table accounts.personal_tables enable row level security;
comment on table accounts.personal_tables is 'Tables with rows of persons. The migrations'' to write: their conditions are run.';

create type accounts.privacy_class as enum (
  'kept', -- stays as it is
  'blanked', -- the row stays, without it
  'erased' -- the row goes
);
create type accounts.on_merge as enum (
  'moves', -- to the account that a guest is merged into
  'stays' -- with the guest's tombstone
);

create table accounts.privacy_classes (
  relation text not null,
  -- `*`: every column of a table that is about nobody.
  column_name text not null,
  class accounts.privacy_class not null,
  -- What a blanked column holds instead.
  blank_to text,
  on_merge accounts.on_merge not null,
  reason text not null,
  -- Why an export for the user is without it; null: it tells it. What nobody thought of is told: it is the user's.
  withheld text,
  primary key (relation, column_name),
  check (blank_to is null or class = 'blanked')
);
alter table accounts.privacy_classes enable row level security;
comment on table accounts.privacy_classes is 'What becomes of each column that can hold a person''s data, and why.';

create function accounts.apply_privacy(p_relation text, p_condition text, p_ids uuid[])
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- Erases or blanks, as the classes say, those rows `t` of a table for which the condition holds, in which $1 is p_ids;
-- and returns how many. A table of which everything is kept stays as it is. A second call finds what the first left.
-- Locks: those rows.
declare
  v_erases boolean;
  v_blanks text;
  v_rows integer := 0;
begin
  select bool_or(c.class = 'erased'),
    string_agg(format('%I = %L', c.column_name, c.blank_to), ', ') filter (where c.class = 'blanked')
  into v_erases, v_blanks
  from accounts.privacy_classes as c
  where c.relation = p_relation;
  if v_erases then
    execute format('delete from %s as t where %s', p_relation, p_condition) using p_ids;
    get diagnostics v_rows = row_count;
  elsif v_blanks is not null then
    execute format('update %s as t set %s where %s', p_relation, v_blanks, p_condition) using p_ids;
    get diagnostics v_rows = row_count;
  end if;
  return v_rows;
end;
$$;

create function accounts.erase(p_user_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Applies the classes to every table with rows of persons, and deletes the user of Auth, with identities, factors and
-- sessions; and the same of every guest who was merged into them. Returns how many rows of each table were erased or blanked. Locks: those rows, by table.
declare
  v_ids constant uuid[] := accounts.with_guests(p_user_id);
  v_table accounts.personal_tables;
  v_rows integer;
  v_erased jsonb := '{}';
begin
  for v_table in select t.* from accounts.personal_tables as t order by t.relation loop
    v_rows := accounts.apply_privacy(v_table.relation, v_table.rows_of, v_ids);
    if v_rows > 0 then
      v_erased := v_erased || jsonb_build_object(v_table.relation, v_rows);
    end if;
  end loop;
  delete from auth.users as u where u.id = any (v_ids);
  get diagnostics v_rows = row_count;
  return v_erased || jsonb_build_object('auth.users', v_rows);
end;
$$;

create function accounts.erasure_json(p_user accounts.users)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- How far the erasure of a closed account is: `{ waits_for, erased_at }`; null of one that is open. It waits for the end of a
-- `legal_hold`, for its running `jobs`, for the `uploads` whose URLs still write and for who may still be storing, or for
-- the `worker`; null once it is erased.
declare
  v_erased_at constant timestamptz := (select r.erased_at from accounts.erasures as r where r.user_id = p_user.id);
begin
  if p_user.closed_at is null then
    return null;
  end if;
  return jsonb_build_object('erased_at', core.to_iso(v_erased_at), 'waits_for', case
    when v_erased_at is not null then null
    when safety.is_held(p_user.id) then 'legal_hold'
    when exists (
      select from videos.jobs as j
      where j.user_id = p_user.id and j.status in ('pending', 'processing') and j.deleted_at is null
    ) then 'jobs'
    when videos.erasable_at(p_user.id) > core.now() then 'uploads'
    else 'worker'
  end);
end;
$$;

create function accounts.sweep_closed(p_before timestamptz, p_batch integer)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- The rule `closed_accounts`: has the bare jobs of accounts deleted that were erased, and returns of how many accounts.
-- Locks: proofs of erasure that nobody else has locked → jobs.
declare
  v_user_ids uuid[];
begin
  select coalesce(array_agg(d.user_id), '{}') into v_user_ids
  from (
    select r.user_id from accounts.erasures as r
    where r.swept_at is null and r.erased_at <= p_before
    order by r.erased_at
    limit p_batch
    for update skip locked
  ) as d;
  perform videos.delete_jobs(v_user_ids);
  update accounts.erasures as r set swept_at = core.now() where r.user_id = any (v_user_ids);
  return cardinality(v_user_ids);
end;
$$;
