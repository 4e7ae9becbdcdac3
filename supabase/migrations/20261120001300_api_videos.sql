-- The procedures behind models, generate-video, video-status and health: one per endpoint, each one transaction.

create function public.list_models(p_user_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The catalogue: `data` is `{ version, models }`, models in the order of the operator. Counts against `reads`.
declare
  v_caller record;
  v_data jsonb;
begin
  select * into v_caller from guard.enter(p_user_id, 'models', '{reads}', null);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  select jsonb_build_object(
    'version', (select c.version from public.catalogue as c),
    'models', coalesce(jsonb_agg(generation.model_json(m) order by m.position, m.id), '[]')
  ) into v_data
  from public.models as m
  where m.is_available;
  return guard.answer(v_data, v_caller.limits, v_caller.language);
end;
$$;

revoke all on function public.list_models(uuid) from public, anon, authenticated;
grant execute on function public.list_models(uuid) to service_role;
comment on function public.list_models(uuid) is 'Behind GET models.';

create function generation.accept_video(
  p_user_id uuid, p_network text, p_request_id text, p_model_id uuid, p_prompt text, p_settings jsonb,
  p_image_url text
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Accepts a video or says why not, in the order of what it costs to find out. Nothing is written before the last
-- refusal but the counted attempt. `data`: `{ job_id, status, credits_used, credits_remaining, created_at }`.
-- Locks: rate-limit rows → account → lots.
declare
  v_attempts jsonb;
  v_accepted jsonb;
  v_limits jsonb;
  v_model public.models;
  v_resolved jsonb;
  v_price bigint;
  v_refusal jsonb;
  v_account credits.accounts;
  v_hold jsonb;
  v_job_id constant uuid := ops.new_id();
  v_now timestamptz;
begin
  v_attempts := guard.take(
    '{generation_attempts,generation_attempts_network}', p_user_id, p_network, 'generate-video'
  );
  if v_attempts ? 'refusal' then
    return v_attempts -> 'refusal';
  end if;
  v_limits := v_attempts -> 'limits';
  if not ops.is_enabled('generation') then
    return guard.refusal('ERR_6004', '{"feature": "generation"}', v_limits);
  end if;
  if generation.find_moderation_term(p_prompt, 'refuse') is not null then
    return guard.refusal('ERR_4003', '{"reason": "policy"}', v_limits);
  end if;

  select m.* into v_model from public.models as m where m.id = p_model_id and m.is_available;
  if not found then
    return guard.refusal('ERR_4002', jsonb_build_object('model_id', p_model_id), v_limits);
  end if;
  v_resolved := generation.resolve_settings(v_model, p_settings, p_image_url);
  if v_resolved -> 'fields' <> '[]' then
    return guard.refusal('ERR_4008', jsonb_build_object('fields', v_resolved -> 'fields'), v_limits);
  end if;

  if not exists (
    select from generation.model_providers as p
    join generation.money_left as m on m.provider = p.provider
    where p.model_id = v_model.id
      and coalesce(m.cents >= generation.cost_cents(p, v_model.pricing_type, v_resolved -> 'settings'), true)
  ) then
    return guard.refusal('ERR_6004', '{"feature": "generation"}', v_limits);
  end if;

  v_price := generation.price(v_model, v_resolved -> 'settings');
  v_account := credits.lock_account(p_user_id);
  -- Asked again: the account was closed, or its user suspended, while this waited for the lock.
  v_refusal := (guard.admit_user(p_user_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_limits);
  end if;
  if v_account.balance < v_price then
    return guard.refusal(
      'ERR_4001', jsonb_build_object('required', v_price, 'available', v_account.balance), v_limits
    );
  end if;
  -- Last, with the account locked and the balance known: what is counted here is accepted.
  v_accepted := guard.take('{video_generation}', p_user_id, p_network, 'generate-video');
  v_limits := coalesce(v_accepted -> 'limits', '[]') || v_limits;
  if v_accepted ? 'refusal' then
    return v_accepted -> 'refusal' || jsonb_build_object('limits', v_limits);
  end if;

  v_hold := credits.hold_locked(v_account, v_price, v_job_id);
  v_now := ops.now();
  insert into public.video_jobs (
    id, user_id, model_id, model_name, prompt, settings, image_url, credits_used, request_id, created_at, due_at
  )
  values (
    v_job_id, p_user_id, v_model.id, v_model.name, p_prompt, v_resolved -> 'settings', p_image_url, v_price,
    p_request_id, v_now, v_now + v_model.start_within
  );
  -- The function submits at once; the worker only if that did not happen within 2 seconds.
  perform generation.add_task('submit', v_job_id, v_now + interval '2 seconds');
  return guard.answer(
    jsonb_build_object(
      'job_id', v_job_id, 'status', 'pending', 'credits_used', v_price,
      'credits_remaining', v_hold -> 'credits_remaining', 'created_at', ops.to_iso(v_now)
    ),
    v_limits
  );
end;
$$;

revoke all on function generation.accept_video(uuid, text, text, uuid, text, jsonb, text)
  from public, anon, authenticated, service_role;
comment on function generation.accept_video(uuid, text, text, uuid, text, jsonb, text) is
  'Decides about a video and writes the job, its hold and its task.';

create function public.generate_video(
  p_user_id uuid, p_network text, p_idempotency_key text, p_fingerprint text, p_request_id text, p_model_id uuid,
  p_prompt text, p_settings jsonb, p_image_url text
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Accepts a video once per idempotency key. A second call answers what the first did; see generation.accept_video
-- for the rest. Locks: idempotency key → rate-limit rows → account → lots.
declare
  v_caller record;
  v_outcome jsonb;
begin
  select * into v_caller from guard.admit_user(p_user_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_outcome := guard.claim(p_user_id, 'generate-video', p_idempotency_key, p_fingerprint);
  if v_outcome is null then
    v_outcome := guard.finish(
      p_user_id, 'generate-video', p_idempotency_key, p_fingerprint,
      generation.accept_video(p_user_id, p_network, p_request_id, p_model_id, p_prompt, p_settings, p_image_url)
    );
  end if;
  return v_outcome || jsonb_strip_nulls(jsonb_build_object('language', v_caller.language));
end;
$$;

revoke all on function public.generate_video(uuid, text, text, text, text, uuid, text, jsonb, text)
  from public, anon, authenticated;
grant execute on function public.generate_video(uuid, text, text, text, text, uuid, text, jsonb, text) to service_role;
comment on function public.generate_video(uuid, text, text, text, text, uuid, text, jsonb, text) is
  'Behind POST generate-video.';

create function generation.job_stage(p_job public.video_jobs)
returns text
language sql
immutable
set search_path = ''
as $$
  select case
    when p_job.completed_at is not null then 'done'
    when p_job.status = 'pending' then 'queued'
    when p_job.storing_at is not null then 'storing'
    when p_job.started_at is not null then 'generating'
    else 'submitted'
  end
$$;

revoke all on function generation.job_stage(public.video_jobs) from public, anon, authenticated, service_role;
comment on function generation.job_stage(public.video_jobs) is 'Where a job is, for whoever watches it.';

create function generation.job_json(p_job public.video_jobs)
returns jsonb
language sql
stable
return jsonb_build_object(
  'job_id', (p_job).id, 'status', (p_job).status, 'prompt', (p_job).prompt, 'model_id', (p_job).model_id,
  'model_name', (p_job).model_name, 'settings', (p_job).settings, 'credits_used', (p_job).credits_used,
  'video_url', (p_job).video_url, 'video_url_expires_at', ops.to_iso((p_job).video_url_expires_at),
  'thumbnail_url', (p_job).thumbnail_url,
  'error', case when (p_job).error_code is not null then jsonb_build_object(
    'code', (p_job).error_code, 'details', (p_job).error_details
  ) end,
  'created_at', ops.to_iso((p_job).created_at), 'completed_at', ops.to_iso((p_job).completed_at)
);

revoke all on function generation.job_json(public.video_jobs) from public, anon, authenticated, service_role;
comment on function generation.job_json(public.video_jobs) is
  'A job as the API shows it; the error''s message is added in the caller''s language.';

create function public.video_status(p_user_id uuid, p_job_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- One job of the caller's: `data` is `{ job, progress, next_poll_seconds, paths }`, where `paths` names the files
-- in storage, for signing. ERR_4007 for a job that is not there, is deleted or is another's. Counts against
-- `reads`.
declare
  v_caller record;
  v_job public.video_jobs;
  v_age numeric;
begin
  select * into v_caller from guard.enter(p_user_id, 'video-status', '{reads}', null);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  select j.* into v_job
  from public.video_jobs as j
  where j.id = p_job_id and j.user_id = p_user_id and j.deleted_at is null;
  if not found then
    return guard.refusal('ERR_4007', '{}', v_caller.limits)
      || jsonb_strip_nulls(jsonb_build_object('language', v_caller.language));
  end if;

  v_age := extract(epoch from ops.now() - v_job.created_at);
  return guard.answer(
    jsonb_build_object(
      'job', generation.job_json(v_job),
      'progress', jsonb_build_object(
        'stage', generation.job_stage(v_job),
        'percent', case when v_job.status = 'completed' then 100 else v_job.percent end
      ),
      -- A tenth of its age, so that watching costs a few dozen requests however long it takes.
      'next_poll_seconds', case when v_job.completed_at is null then least(60, greatest(2, ceil(v_age / 10)::integer)) end,
      'paths', (
        select coalesce(jsonb_object_agg(a.kind, a.path), '{}') from generation.assets as a where a.job_id = v_job.id
      )
    ),
    v_caller.limits, v_caller.language
  );
end;
$$;

revoke all on function public.video_status(uuid, uuid) from public, anon, authenticated;
grant execute on function public.video_status(uuid, uuid) to service_role;
comment on function public.video_status(uuid, uuid) is 'Behind GET video-status.';

create function public.keep_signed_urls(p_urls jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Keeps freshly signed URLs for the next reader: `p_urls` is a list of `{ job_id, video_url, thumbnail_url,
-- video_url_expires_at }`. `data`: `{ kept }`, how many. Jobs that have others with a later expiry are passed over, and
-- those that are locked: nothing waits for this, and it waits for nothing. Locks: jobs.
declare
  v_kept integer;
begin
  update public.video_jobs as j
  set video_url = n.video_url, thumbnail_url = n.thumbnail_url, video_url_expires_at = n.video_url_expires_at
  from (
    select u.*
    from jsonb_to_recordset(p_urls) as u (
      job_id uuid, video_url text, thumbnail_url text, video_url_expires_at timestamptz
    )
    join public.video_jobs as v on v.id = u.job_id
    where v.status = 'completed' and v.deleted_at is null and v.video_url_expires_at < u.video_url_expires_at
    for update of v skip locked
  ) as n
  where j.id = n.job_id;
  get diagnostics v_kept = row_count;
  return guard.answer(jsonb_build_object('kept', v_kept));
end;
$$;

revoke all on function public.keep_signed_urls(jsonb) from public, anon, authenticated;
grant execute on function public.keep_signed_urls(jsonb) to service_role;
comment on function public.keep_signed_urls(jsonb) is 'After the answers of video-status and video-jobs.';

create function public.health()
returns jsonb
language sql
volatile
security definer
set search_path = ''
as $$
  -- The age of the oldest task that waits, in seconds, tells whether a worker comes by.
  select guard.answer(jsonb_build_object(
    'oldest_due_task_seconds', coalesce((
      select greatest(0, extract(epoch from ops.now() - min(t.run_at)))
      from generation.tasks as t
      where t.failed_at is null and t.run_at <= ops.now() and (t.leased_until is null or t.leased_until <= ops.now())
    ), 0)
  ))
$$;

revoke all on function public.health() from public, anon, authenticated;
grant execute on function public.health() to service_role;
comment on function public.health() is 'Behind GET health.';
