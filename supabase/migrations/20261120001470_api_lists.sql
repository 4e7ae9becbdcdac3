-- The procedures behind video-jobs and credits: lists that are read page by page, newest first. `next` tells where the
-- next page begins, and is its `p_after`; what comes in meanwhile is newer and moves no page.

create function public.list_video_jobs(p_user_id uuid, p_limit integer, p_status text, p_after jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- A page of the caller's jobs, or of those with one status, without the deleted ones: `data` is `{ videos, next }`, videos
-- being `{ job, paths }` as in public.video_status. Counts against `reads`. Locks: rate-limit row.
declare
  v_caller record;
  v_statuses constant public.job_status[] := case
    when p_status is null then enum_range(null::public.job_status) else array[p_status::public.job_status]
  end;
  v_before constant timestamptz := coalesce((p_after ->> 'created_at')::timestamptz, 'infinity');
  v_before_id constant uuid := coalesce((p_after ->> 'id')::uuid, '00000000-0000-0000-0000-000000000000');
  v_videos jsonb;
  v_next jsonb;
begin
  select * into v_caller from guard.enter(p_user_id, 'video-jobs', '{reads}', null);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  select coalesce(jsonb_agg(p.video order by p.place) filter (where p.place <= p_limit), '[]'),
    case when count(*) > p_limit then jsonb_agg(p.position order by p.place) -> p_limit - 1 end
  into v_videos, v_next
  from (
    select row_number() over (order by (f.job).created_at desc, (f.job).id desc) as place,
      jsonb_build_object('created_at', (f.job).created_at, 'id', (f.job).id) as position,
      jsonb_build_object('job', generation.job_json(f.job), 'paths', (
        select coalesce(jsonb_object_agg(a.kind, a.path), '{}') from generation.assets as a where a.job_id = (f.job).id
      )) as video
    from unnest(v_statuses) as s (status)
    -- A page of each status, from its own part of the index, so that a page costs the same in any history. One more
    -- than the page tells whether there is another.
    cross join lateral (
      select j as job
      from public.video_jobs as j
      where j.user_id = p_user_id and j.status = s.status and j.deleted_at is null
        and (j.created_at, j.id) < (v_before, v_before_id)
      order by j.created_at desc, j.id desc
      limit p_limit + 1
    ) as f
    order by place
    limit p_limit + 1
  ) as p;
  return guard.answer(
    jsonb_build_object('videos', v_videos, 'next', v_next), v_caller.limits, v_caller.language
  );
end;
$$;

revoke all on function public.list_video_jobs(uuid, integer, text, jsonb) from public, anon, authenticated;
grant execute on function public.list_video_jobs(uuid, integer, text, jsonb) to service_role;
comment on function public.list_video_jobs(uuid, integer, text, jsonb) is 'Behind GET video-jobs.';

create function public.list_credits(p_user_id uuid, p_limit integer, p_after jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- What the caller has, and a page of what moved it. `data`: `{ credits_remaining, credits_held, credits_owed, expiring,
-- transactions, next }`, all of one moment: what is due has been booked as expired, and the account is locked.
-- `expiring` is the next 30 days' `[{ credits, expires_at }]`, soonest first. Counts against `reads`.
-- Locks: rate-limit row → account → expired lots.
declare
  v_caller record;
  v_account credits.accounts;
  v_until timestamptz;
  v_expiring jsonb;
  v_transactions jsonb;
  v_next jsonb;
begin
  select * into v_caller from guard.enter(p_user_id, 'credits', '{reads}', null);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_account := credits.lock_account(p_user_id);
  v_until := ops.now() + interval '30 days';

  select coalesce(jsonb_agg(
    jsonb_build_object('credits', e.credits, 'expires_at', e.expires_at) order by e.expires_at
  ), '[]') into v_expiring
  from (
    select sum(l.remaining) as credits, ops.to_iso(l.expires_at) as expires_at
    from credits.lots as l
    where l.account_id = v_account.id and l.remaining > 0 and l.expires_at <= v_until
    group by ops.to_iso(l.expires_at)
  ) as e;

  select coalesce(jsonb_agg(p.transaction order by p.number desc) filter (where p.place <= p_limit), '[]'),
    case when count(*) > p_limit then
      jsonb_build_object('number', min(p.number) filter (where p.place <= p_limit))
    end
  into v_transactions, v_next
  from (
    select s.number, row_number() over (order by s.number desc) as place,
      jsonb_build_object(
        'id', s.transfer_id, 'amount', s.amount, 'kind', s.kind, 'balance_after', s.balance_after, 'job_id', s.job_id,
        'created_at', ops.to_iso(s.created_at)
      ) as transaction
    from credits.statement(p_user_id, p_limit + 1, (p_after ->> 'number')::bigint) as s
  ) as p;

  return guard.answer(
    jsonb_build_object(
      'credits_remaining', v_account.balance,
      'credits_held', generation.held_credits(p_user_id),
      'credits_owed', credits.owed(p_user_id),
      'expiring', v_expiring, 'transactions', v_transactions, 'next', v_next
    ),
    v_caller.limits, v_caller.language
  );
end;
$$;

revoke all on function public.list_credits(uuid, integer, jsonb) from public, anon, authenticated;
grant execute on function public.list_credits(uuid, integer, jsonb) to service_role;
comment on function public.list_credits(uuid, integer, jsonb) is 'Behind GET credits.';
