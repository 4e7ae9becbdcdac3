-- An action as the operator sees it.
create function ops.action_json(p_action ops.admin_actions)
returns jsonb
language sql
stable
return jsonb_build_object(
  'id', (p_action).id, 'action', (p_action).action, 'admin_id', (p_action).admin_id, 'amount', (p_action).amount,
  'reason', (p_action).reason, 'job_id', (p_action).job_id, 'created_at', core.to_iso((p_action).created_at)
);

create function ops.user_json(p_user_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- A user as the operator sees them: `{ user, guests, credits, jobs, legal_hold, erasure, recent_actions, lots, statement,
-- purchases, sessions, devices }`. A hold and actions are also those of the guests who became them. `is_guest` and `email` are null once Auth knows them no more. Jobs that they deleted are not counted.
-- Locks: account → expired lots.
declare
  v_account constant credits.accounts := credits.lock_account(p_user_id);
  -- Whoever became somebody else has nothing.
  v_balance constant bigint := case when v_account.owner_id = p_user_id then v_account.balance else 0 end;
  v_people constant uuid[] := accounts.with_guests(p_user_id);
  v_auth auth.users;
  v_user accounts.users;
  v_jobs jsonb;
begin
  select u.* into strict v_user from accounts.users as u where u.id = p_user_id;
  select a.* into v_auth from auth.users as a where a.id = p_user_id;
  select jsonb_object_agg(s.status, coalesce(c.jobs, 0)) into v_jobs
  from unnest(enum_range(null::videos.job_status)) as s (status)
  left join (
    select j.status, count(*) as jobs
    from videos.jobs as j
    where j.user_id = p_user_id and j.deleted_at is null
    group by j.status
  ) as c on c.status = s.status;

  return jsonb_build_object(
    -- Whoever has the token can buy for the user; these are nobody else's affair.
    'user', accounts.profile_json(v_user, v_balance) - '{app_account_token,shares_consumption,accepted_processors,notification_preferences}'::text[] || jsonb_build_object(
      'is_guest', v_auth.is_anonymous, 'email', nullif(v_auth.email, ''),
      'is_banned', v_user.is_banned, 'closed_at', core.to_iso(v_user.closed_at), 'merged_into', v_user.merged_into
    ),
    'guests', to_jsonb(array_remove(v_people, p_user_id)),
    'credits', jsonb_build_object(
      'remaining', v_balance,
      'held', videos.held_credits(p_user_id),
      'owed', credits.owed(p_user_id)
    ),
    'jobs', v_jobs,
    'legal_hold', (
      select jsonb_build_object('held_at', core.to_iso(min(h.held_at))) from safety.holds as h
      where h.user_id = any (v_people)
      having count(*) > 0
    ),
    'erasure', accounts.erasure_json(v_user),
    'recent_actions', (
      select coalesce(jsonb_agg(ops.action_json(r.action) order by (r.action).created_at desc, (r.action).id desc), '[]')
      from (
        select a as action from ops.admin_actions as a
        where a.user_id = any (v_people)
        order by a.created_at desc, a.id desc
        limit 20
      ) as r
    ),
    -- In the order in which they are spent.
    'lots', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'lot_id', o.id, 'amount', o.amount, 'remaining', o.remaining, 'expires_at', core.to_iso(o.expires_at),
        'is_sandbox', o.is_sandbox
      ) order by o.expires_at nulls last, o.id), '[]')
      from (
        select l.* from credits.lots as l
        where l.account_id = v_account.id and v_account.owner_id = p_user_id and not l.is_spent
        order by l.expires_at nulls last, l.id
        limit 50
      ) as o
    ),
    'statement', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'id', s.transfer_id, 'amount', s.amount, 'kind', s.kind, 'balance_after', s.balance_after, 'job_id', s.job_id,
        'created_at', core.to_iso(s.created_at)
      ) order by s.number desc), '[]')
      from credits.statement(p_user_id, 50) as s
    ),
    'purchases', (
      select coalesce(jsonb_agg(purchases.transaction_json(o.bought) || jsonb_build_object(
        'status', case when (o.bought).reason is null then purchases.transaction_json(o.bought) ->> 'status' else 'not_credited' end,
        'credits_added', coalesce(purchases.added_by(o.bought), 0), 'reason', (o.bought).reason,
        'environment', (o.bought).environment
      ) order by (o.bought).purchased_at desc, (o.bought).id desc), '[]')
      from (
        select t as bought from purchases.transactions as t
        where t.owner_id = p_user_id
        order by t.purchased_at desc, t.id desc
        limit 20
      ) as o
    ),
    'sessions', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'created_at', core.to_iso(o.created_at), 'last_used_at', core.to_iso(o.last_used_at), 'user_agent', o.user_agent
      ) order by o.last_used_at desc), '[]')
      from (
        select s.created_at, s.user_agent, u.last_used_at
        from auth.sessions as s
        -- As accounts.sessions_json has it.
        cross join lateral (select coalesce(s.refreshed_at at time zone 'utc', s.created_at) as last_used_at) as u
        where s.user_id = p_user_id
        order by u.last_used_at desc
        limit 20
      ) as o
    ),
    'devices', jsonb_build_object(
      'registered', (select count(*) from notify.push_tokens as t where t.user_id = p_user_id),
      'first_granted_at', core.to_iso((
        select min(g.granted_at) from devices.grants as g where g.user_id = any (accounts.with_guests(p_user_id))
      ))
    )
  );
end;
$$;
