create function api.get_admin_webhooks(p_admin_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- All webhooks, newest first, 20 at most: `data` is `{ webhooks }`, as webhooks.webhook_json has them. Counts against `admin`.
-- Locks: rate-limit row.
declare
  v_caller record;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-webhooks', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  return guard.answer(
    jsonb_build_object('webhooks', (
      select coalesce(jsonb_agg(webhooks.webhook_json(w) order by w.created_at desc, w.id desc), '[]') from webhooks.webhooks as w
    )),
    v_caller.limits, v_caller.language
  );
end;
$$;
grant execute on function api.get_admin_webhooks to service_role;

create function api.post_admin_webhooks(
  p_admin_id uuid, p_request_id text, p_webhook_id uuid, p_url text, p_types text[], p_sealed_secret text, p_reason text,
  p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Makes a webhook, as webhooks.add: `data` is it. resource/wrong-state (`too_many`) where there are 20. A second call, with
-- another id, makes another. Counts against `admin`. Locks: rate-limit row → the table against others that add.
declare
  v_caller record;
  v_refusal jsonb;
  v_webhook webhooks.webhooks;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-webhooks', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  -- As webhooks.add does.
  lock table webhooks.webhooks in share row exclusive mode;
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  v_webhook := webhooks.add(p_webhook_id, p_url, p_types, p_sealed_secret);
  if v_webhook.id is null then
    return guard.refusal('resource/wrong-state', jsonb_build_object('status', 'too_many'), v_caller.limits, v_caller.language);
  end if;
  insert into ops.admin_actions (action, admin_id, subject, details, reason, request_id, created_at)
  values (
    'create_webhook', p_admin_id, format('webhook %s', p_webhook_id),
    jsonb_build_object('before', null, 'after', webhooks.record_json(v_webhook)), p_reason, p_request_id, core.now()
  );
  return guard.answer(webhooks.webhook_json(v_webhook), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.post_admin_webhooks to service_role;

create function api.patch_admin_webhooks(
  p_admin_id uuid, p_request_id text, p_webhook_id uuid, p_reason text, p_url text default null, p_types text[] default null,
  p_is_enabled boolean default null, p_sealed_secret text default null, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Changes what is given of a webhook, as webhooks.change, and its secret, as webhooks.rotate_secret: `data` is the webhook.
-- resource/not-found for one that is not there; resource/wrong-state (`dropping`) where it is to be enabled while something that
-- waited for it is still to be dropped. A second call changes nothing, and writes nothing down, but for a secret. Counts
-- against `admin`. Locks: rate-limit row → webhook → its deliveries → their tasks.
declare
  v_caller record;
  v_refusal jsonb;
  v_before webhooks.webhooks;
  v_after webhooks.webhooks;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-webhooks', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  select w.* into v_before from webhooks.webhooks as w where w.id = p_webhook_id for no key update;
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  if v_before.id is null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  v_after := webhooks.change(p_webhook_id, p_url, p_types, p_is_enabled);
  if v_after.id is null then
    return guard.refusal('resource/wrong-state', '{"status": "dropping"}', v_caller.limits, v_caller.language);
  end if;
  if v_after is distinct from v_before then
    insert into ops.admin_actions (action, admin_id, subject, details, reason, request_id, created_at)
    values (
      'change_webhook', p_admin_id, format('webhook %s', p_webhook_id),
      jsonb_build_object('before', webhooks.record_json(v_before), 'after', webhooks.record_json(v_after)),
      p_reason, p_request_id, core.now()
    );
  end if;
  if p_sealed_secret is not null then
    perform webhooks.rotate_secret(p_webhook_id, p_sealed_secret);
    insert into ops.admin_actions (action, admin_id, subject, reason, request_id, created_at)
    values (
      'rotate_webhook_secret', p_admin_id, format('webhook %s', p_webhook_id), p_reason, p_request_id, core.now()
    );
  end if;
  return guard.answer(webhooks.webhook_json(v_after), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.patch_admin_webhooks to service_role;

create function api.delete_admin_webhooks(
  p_admin_id uuid, p_request_id text, p_webhook_id uuid, p_reason text, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Deletes a webhook with its secrets, and silences it, as webhooks.silence: `data` is `{ webhook_id }`. resource/not-found for one that
-- is not there, as in a second call. Counts against `admin`. Locks: rate-limit row → webhook → its deliveries → their tasks.
declare
  v_caller record;
  v_refusal jsonb;
  v_webhook webhooks.webhooks;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-webhooks', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  select w.* into v_webhook from webhooks.webhooks as w where w.id = p_webhook_id for update;
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  if v_webhook.id is null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  delete from webhooks.webhooks as w where w.id = p_webhook_id;
  perform webhooks.silence(p_webhook_id);
  insert into ops.admin_actions (action, admin_id, subject, details, reason, request_id, created_at)
  values (
    'delete_webhook', p_admin_id, format('webhook %s', p_webhook_id),
    jsonb_build_object('before', webhooks.record_json(v_webhook), 'after', null), p_reason, p_request_id, core.now()
  );
  return guard.answer(jsonb_build_object('webhook_id', p_webhook_id), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.delete_admin_webhooks to service_role;
