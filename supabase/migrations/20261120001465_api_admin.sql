-- The procedures behind admin-models and admin-users. Each asks whether the caller is an admin, and writes what they did
-- in the transaction that does it.

create function public.admin_change_model(
  p_admin_id uuid, p_request_id text, p_model_id uuid, p_is_available boolean, p_reason text
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Offers a model or takes it out of the catalogue, which then has another version. `data` is the model as the
-- catalogue has it, with `is_available`. ERR_4002 for an unknown model. A second call changes nothing and writes
-- nothing. Counts against `admin`. Locks: rate-limit row → model → catalogue.
declare
  v_caller record;
  v_model public.models;
begin
  select * into v_caller from guard.enter_admin(p_admin_id, 'admin-models');
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  select m.* into v_model from public.models as m where m.id = p_model_id for no key update;
  if not found then
    return guard.refusal('ERR_4002', jsonb_build_object('model_id', p_model_id), v_caller.limits);
  end if;
  if v_model.is_available <> p_is_available then
    update public.models as m set is_available = p_is_available where m.id = p_model_id;
    insert into ops.admin_actions (action, admin_id, model_id, reason, request_id, created_at)
    values (
      (case when p_is_available then 'enable_model' else 'disable_model' end)::ops.admin_action, p_admin_id, p_model_id,
      p_reason, p_request_id, ops.now()
    );
  end if;
  return guard.answer(
    generation.model_json(v_model) || jsonb_build_object('is_available', p_is_available), v_caller.limits,
    v_caller.language
  );
end;
$$;

revoke all on function public.admin_change_model(uuid, text, uuid, boolean, text) from public, anon, authenticated;
grant execute on function public.admin_change_model(uuid, text, uuid, boolean, text) to service_role;
comment on function public.admin_change_model(uuid, text, uuid, boolean, text) is 'Behind PATCH admin-models.';

create function ops.user_json(p_user_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- A user as the operator sees them: `{ user, credits, jobs, recent_actions }`. `is_guest` is null once Auth knows them
-- no more. Jobs that they deleted are not counted. Locks: account → expired lots.
declare
  v_balance constant bigint := (credits.lock_account(p_user_id)).balance;
  v_user public.users;
  v_jobs jsonb;
begin
  select u.* into strict v_user from public.users as u where u.id = p_user_id;
  select jsonb_object_agg(s.status, coalesce(c.jobs, 0)) into v_jobs
  from unnest(enum_range(null::public.job_status)) as s (status)
  left join (
    select j.status, count(*) as jobs
    from public.video_jobs as j
    where j.user_id = p_user_id and j.deleted_at is null
    group by j.status
  ) as c on c.status = s.status;

  return jsonb_build_object(
    'user', public.profile_json(v_user, v_balance) || jsonb_build_object(
      'is_guest', (select a.is_anonymous from auth.users as a where a.id = p_user_id),
      'is_banned', v_user.is_banned, 'closed_at', ops.to_iso(v_user.closed_at)
    ),
    'credits', jsonb_build_object(
      'remaining', v_balance,
      'held', generation.held_credits(p_user_id),
      'owed', credits.owed(p_user_id)
    ),
    'jobs', v_jobs,
    'recent_actions', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'id', r.id, 'action', r.action, 'admin_id', r.admin_id, 'amount', r.amount, 'reason', r.reason,
        'job_id', r.job_id, 'created_at', ops.to_iso(r.created_at)
      ) order by r.created_at desc, r.id desc), '[]')
      from (
        select a.* from ops.admin_actions as a
        where a.user_id = p_user_id
        order by a.created_at desc, a.id desc
        limit 20
      ) as r
    )
  );
end;
$$;

revoke all on function ops.user_json(uuid) from public, anon, authenticated, service_role;
comment on function ops.user_json(uuid) is 'A user, their credits and jobs, and what admins did to them.';

create function public.admin_user(p_admin_id uuid, p_user_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- A user, as ops.user_json. ERR_4007 where there is none. Counts against `admin`.
-- Locks: rate-limit row → account → expired lots.
declare
  v_caller record;
begin
  select * into v_caller from guard.enter_admin(p_admin_id, 'admin-users');
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  if not ops.find_user(p_user_id) then
    return guard.refusal('ERR_4007', '{}', v_caller.limits);
  end if;
  return guard.answer(ops.user_json(p_user_id), v_caller.limits, v_caller.language);
end;
$$;

revoke all on function public.admin_user(uuid, uuid) from public, anon, authenticated;
grant execute on function public.admin_user(uuid, uuid) to service_role;
comment on function public.admin_user(uuid, uuid) is 'Behind GET admin-users.';

create function public.admin_ban_user(
  p_admin_id uuid, p_request_id text, p_user_id uuid, p_is_banned boolean, p_reason text
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Suspends a user, which also ends their sessions, or lets them in again. Jobs that were accepted go on. `data` is the
-- user as in public.admin_user. ERR_4006 for oneself and for other admins, who are the operator's affair; ERR_4007
-- where there is no such user; ERR_4009 for a closed account. A second call ends sessions that have begun since, and writes
-- nothing. Counts against `admin`. Locks: rate-limit row → account → user → sessions.
declare
  v_caller record;
  v_user public.users;
begin
  select * into v_caller from guard.enter_admin(p_admin_id, 'admin-users');
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  if not ops.find_user(p_user_id) then
    return guard.refusal('ERR_4007', '{}', v_caller.limits);
  end if;
  perform credits.lock_account(p_user_id);
  select u.* into strict v_user from public.users as u where u.id = p_user_id for no key update;
  if v_user.is_admin then
    return guard.refusal('ERR_4006', '{}', v_caller.limits);
  end if;
  if v_user.closed_at is not null then
    return guard.refusal('ERR_4009', '{"status": "closed"}', v_caller.limits);
  end if;

  if v_user.is_banned <> p_is_banned then
    update public.users as u set is_banned = p_is_banned where u.id = p_user_id;
    insert into ops.admin_actions (action, admin_id, user_id, reason, request_id, created_at)
    values (
      (case when p_is_banned then 'ban' else 'unban' end)::ops.admin_action, p_admin_id, p_user_id, p_reason,
      p_request_id, ops.now()
    );
  end if;
  if p_is_banned then
    perform ops.end_sessions(p_user_id);
  end if;
  return guard.answer(ops.user_json(p_user_id), v_caller.limits, v_caller.language);
end;
$$;

revoke all on function public.admin_ban_user(uuid, text, uuid, boolean, text) from public, anon, authenticated;
grant execute on function public.admin_ban_user(uuid, text, uuid, boolean, text) to service_role;
comment on function public.admin_ban_user(uuid, text, uuid, boolean, text) is 'Behind POST admin-users.';
