-- Taking along: a file of all that is kept of a person, for that person.

create table accounts.exports (
  id uuid primary key default core.new_id(),
  user_id uuid not null,
  requested_at timestamptz not null,
  -- When its file was in storage; null until then, and where it never will be.
  made_at timestamptz,
  bytes bigint check (bytes > 0),
  failed_at timestamptz,
  -- When it goes, file and all; null while it is being made.
  expires_at timestamptz,
  -- When a `delete_export` task was made.
  deleting_at timestamptz,
  -- What the policy `exports` counted, to be given back where it fails.
  hit timestamptz,
  constraint exports_end check ((made_at is null) = (bytes is null) and (expires_at is null) = (made_at is null and failed_at is null))
);
alter table accounts.exports enable row level security;
create index exports_user on accounts.exports (user_id, requested_at);
create index exports_expiry on accounts.exports (expires_at) where deleting_at is null;
comment on table accounts.exports is 'Files of all that is kept of a person, which they asked for.';

-- Where its file is in storage: below the reference of whoever asked, so that their erasure finds it.
create function accounts.export_path(p_export accounts.exports)
returns text
language sql
stable
set search_path = ''
as $$
  select u.reference || '/exports/' || p_export.id || '.json' from accounts.users as u where u.id = p_export.user_id
$$;

create function accounts.export_json(p_user_id uuid)
returns jsonb
language sql
volatile
set search_path = ''
as $$
  -- The latest export of a user, with the path of its file in the place of the URL that the API shows; null without one, and
  -- once it has expired.
  select jsonb_build_object(
    'status', case when e.made_at is not null then 'ready' when e.failed_at is not null then 'failed' else 'pending' end,
    'requested_at', core.to_iso(e.requested_at),
    'path', case when e.made_at is not null then accounts.export_path(e) end,
    'bytes', e.bytes, 'expires_at', core.to_iso(e.expires_at)
  )
  from (
    select x.* from accounts.exports as x where x.user_id = p_user_id order by x.requested_at desc, x.id desc limit 1
  ) as e
  where e.deleting_at is null and (e.expires_at is null or e.expires_at > core.now())
$$;

create function accounts.exported_tables()
returns setof text
language sql
stable
set search_path = ''
as $$
  -- The tables with rows of persons of which an export tells a column, in the order of the file.
  select t.relation
  from accounts.personal_tables as t
  where exists (
    select from accounts.privacy_classes as c where c.relation = t.relation and c.withheld is null
  )
  order by t.relation
$$;

create function accounts.export_page(p_user_id uuid, p_relation text, p_after jsonb, p_limit integer)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
-- The next rows of a table that are the user's, or were a guest's who became them, by primary key: `{ text, next }`, the
-- text being objects of JSON with commas between them, without the columns that accounts.privacy_classes withholds. `next`
-- is what to give as p_after for the rows that follow, null where there is none. Takes no lock.
declare
  v_rows_of text;
  v_withheld text[];
  v_keys text;
  v_key_values text;
  v_bounds text;
  v_page jsonb;
begin
  select t.rows_of into strict v_rows_of from accounts.personal_tables as t where t.relation = p_relation;
  select coalesce(array_agg(c.column_name), '{}') into v_withheld
  from accounts.privacy_classes as c
  where c.relation = p_relation and c.withheld is not null;
  select string_agg(format('t.%I', a.attname), ', ' order by k.place),
    string_agg(format('t.%I::text', a.attname), ', ' order by k.place),
    string_agg(format('($2 ->> %s)::%s', k.place - 1, format_type(a.atttypid, a.atttypmod)), ', ' order by k.place)
  into v_keys, v_key_values, v_bounds
  from pg_catalog.pg_index as i
  cross join lateral unnest(i.indkey::smallint[]) with ordinality as k (attnum, place)
  join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
  where i.indrelid = p_relation::regclass and i.indisprimary;
  execute format(
    'select jsonb_build_object(
       ''text'', coalesce(string_agg((to_jsonb(p.t) - $4)::text, e'',\n'' order by p.place), ''''),
       ''next'', (array_agg(p.key order by p.place desc) filter (where p.place = $3))[1]
     )
     from (
       select t, jsonb_build_array(%1$s) as key, row_number() over (order by %2$s) as place
       from %3$s as t
       where (%4$s) and ($2 is null or (%2$s) > (%5$s))
       order by %2$s
       limit $3
     ) as p',
    v_key_values, v_keys, p_relation, v_rows_of, v_bounds
  ) into v_page using accounts.with_guests(p_user_id), p_after, p_limit, v_withheld;
  return v_page;
end;
$$;

create function accounts.fail_export(p_export_id uuid, p_cause text default null)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- No try is left to make an export, or nobody is there for it: its user may ask for another at once. A second call, and one
-- for an export that is made, changes nothing. Locks: export → rate-limit row → task.
declare
  v_export accounts.exports;
  v_now constant timestamptz := core.now();
begin
  update accounts.exports as e set failed_at = v_now, expires_at = v_now + interval '1 day'
  where e.id = p_export_id and e.made_at is null and e.failed_at is null
  returning e.* into v_export;
  if found and v_export.hit is not null then
    perform guard.give_back('exports', v_export.user_id, v_export.hit);
  end if;
  perform queue.drop(p_export_id, '{export_account}');
end;
$$;

create function accounts.sweep_exports(p_before timestamptz, p_batch integer)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
-- The rule `exports`: has a worker remove the files of those that have expired, and returns of how many. A second call finds
-- none. Locks: exports that nobody else has locked → tasks.
declare
  v_export accounts.exports;
  v_swept integer := 0;
begin
  for v_export in
    select e.* from accounts.exports as e
    where e.expires_at <= p_before and e.deleting_at is null
    limit p_batch
    for update skip locked
  loop
    update accounts.exports as e set deleting_at = core.now() where e.id = v_export.id;
    perform queue.add('delete_export', v_export.id, v_export.user_id, core.now());
    v_swept := v_swept + 1;
  end loop;
  return v_swept;
end;
$$;
