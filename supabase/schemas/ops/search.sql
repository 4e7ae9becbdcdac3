create function ops.users_like(p_query text)
returns setof uuid
language plpgsql
stable
-- Mostly one. The planner takes it for 1,000, and would read tables as a whole.
rows 1
set search_path = ''
as $$
-- Who may be meant: by id, by reference, by the beginning of the id (8 digits at least), or by the whole e-mail address in either
-- case; also whom only Auth knows yet. Up to 20, by id. Takes no lock.
declare
  v_digits constant text := case when p_query ~* '^[0-9a-f-]{8,36}$' then replace(p_query, '-', '') end;
  v_first uuid;
  v_last uuid;
begin
  if length(v_digits) between 8 and 32 then
    v_first := rpad(v_digits, 32, '0')::uuid;
    v_last := rpad(v_digits, 32, 'f')::uuid;
  end if;
  return query
  select f.id
  from (
    (select u.id from accounts.users as u where u.id between v_first and v_last order by u.id limit 20)
    union
    (select a.id from auth.users as a where a.id between v_first and v_last order by a.id limit 20)
    union
    select u.id from accounts.users as u where u.reference = v_first and v_first = v_last
    union
    -- Auth writes addresses in lower case, and has an index of those that are no single sign-on's.
    select a.id from auth.users as a where a.email = lower(p_query) and not a.is_sso_user and p_query like '%@%'
  ) as f
  order by f.id
  limit 20;
end;
$$;

create function ops.search(p_query text)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
-- The users and jobs that somebody's words may name: `{ users, jobs }`, 20 of each at most. Users as ops.users_like finds them;
-- jobs by id, request id or the app's name for them, newest first, and of a name or request id that more than 1,000 have any 1,000.
-- Takes no lock.
declare
  v_job_id uuid;
begin
  if pg_input_is_valid(p_query, 'uuid') then
    v_job_id := p_query::uuid;
  end if;
  return jsonb_build_object(
    'users', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'user_id', f.id, 'email', nullif(a.email, ''), 'reference', u.reference, 'is_guest', a.is_anonymous,
        'is_banned', coalesce(u.is_banned, false), 'created_at', core.to_iso(coalesce(u.created_at, a.created_at)),
        'credits_remaining', coalesce(credits.spendable(c), 0)
      ) order by f.id), '[]')
      from ops.users_like(p_query) as f (id)
      left join accounts.users as u on u.id = f.id
      left join auth.users as a on a.id = f.id
      left join credits.accounts as c on c.owner_id = f.id and c.kind = 'available' and c.unit = 'credit'
    ),
    'jobs', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'job_id', f.id, 'user_id', f.user_id, 'status', f.status, 'matched', f.matched, 'created_at', core.to_iso(f.created_at)
      ) order by f.id desc), '[]')
      from (
        -- What matches in two ways is named once.
        select distinct on (o.id) o.* from (
          select 'job_id' as matched, j.id, j.user_id, j.status, j.created_at
          from videos.jobs as j
          where j.id = v_job_id
          union all
          select 'request_id', j.id, j.user_id, j.status, j.created_at from videos.jobs_of_request(p_query) as j
          union all
          (
            select 'client_reference', j.id, j.user_id, j.status, j.created_at
            from videos.jobs as j
            where j.client_reference = p_query
            limit 1000
          )
        ) as o
        order by o.id desc, o.matched desc
        limit 20
      ) as f
    )
  );
end;
$$;
