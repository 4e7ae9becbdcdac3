-- webhooks: other servers that are told what happened. In this order: webhooks.sql (who is told what), sending.sql (how a
-- delivery goes on).

create schema webhooks;

-- Why a webhook is told nothing.
create type webhooks.disabled_reason as enum (
  'admin',
  'gone', -- it answered 410
  'failing' -- five days without a success
);

create table webhooks.webhooks (
  -- Given by who seals the secret, which is bound to it.
  id uuid primary key,
  url text not null check (char_length(url) between 1 and 2048),
  -- What it hears: patterns of events.
  types text[] not null check (cardinality(types) between 1 and 20),
  is_enabled boolean not null default true,
  disabled_reason webhooks.disabled_reason,
  -- Since when no attempt has succeeded; null where the last one did, or none was made.
  failing_since timestamptz,
  created_at timestamptz not null,
  constraint webhooks_disabled check (is_enabled = (disabled_reason is null))
);
alter table webhooks.webhooks enable row level security;
comment on table webhooks.webhooks is 'Servers that are told what happened.';

create table webhooks.secrets (
  webhook_id uuid not null references webhooks.webhooks on delete cascade,
  -- AES-GCM by a key that the functions alone have: whoever reads this cannot sign with it.
  sealed text not null check (sealed ~ '^v1\.[A-Za-z0-9+/]+=*$'),
  created_at timestamptz not null,
  -- A secret that was replaced signs until then; null for the one that is in use.
  expires_at timestamptz,
  primary key (webhook_id, sealed)
);
alter table webhooks.secrets enable row level security;
create unique index secrets_in_use on webhooks.secrets (webhook_id) where expires_at is null;
create index secrets_expiry on webhooks.secrets (expires_at) where expires_at is not null;
comment on table webhooks.secrets is 'What messages to a webhook are signed with, sealed.';

select core.keep_rows_out_of_logs('webhooks.webhooks');
select core.keep_rows_out_of_logs('webhooks.secrets');

-- How many webhooks there are at most. Each has two deliveries at work at once: no more than `concurrency` of the kind
-- `deliver_webhook` lets be.
create function webhooks.most()
returns integer
language sql
immutable
return 20;

-- A webhook as the API shows it.
create function webhooks.webhook_json(p_webhook webhooks.webhooks)
returns jsonb
language sql
stable
return jsonb_build_object(
  'webhook_id', (p_webhook).id, 'url', (p_webhook).url, 'types', to_jsonb((p_webhook).types),
  'is_enabled', (p_webhook).is_enabled, 'disabled_reason', (p_webhook).disabled_reason,
  'failing_since', core.to_iso((p_webhook).failing_since), 'created_at', core.to_iso((p_webhook).created_at)
);

-- What the operator's record says of a webhook. Of its address the host: the rest may be what lets one write there.
create function webhooks.record_json(p_webhook webhooks.webhooks)
returns jsonb
language sql
immutable
return jsonb_build_object(
  'host', substring((p_webhook).url from '^https?://([^/?#]+)'), 'types', to_jsonb((p_webhook).types),
  'is_enabled', (p_webhook).is_enabled
);

create function webhooks.add(p_id uuid, p_url text, p_types text[], p_sealed text)
returns webhooks.webhooks
language plpgsql
volatile
set search_path = ''
as $$
-- Makes a webhook that hears p_types from now on; null where there are webhooks.most() of them. A second call with the id
-- raises unique_violation. Locks: the table against others that add, so that no two are the last.
declare
  v_now timestamptz;
  v_webhook webhooks.webhooks;
begin
  lock table webhooks.webhooks in share row exclusive mode;
  v_now := core.now();
  if (select count(*) from webhooks.webhooks) >= webhooks.most() then
    return null;
  end if;
  insert into webhooks.webhooks (id, url, types, created_at) values (p_id, p_url, p_types, v_now) returning * into v_webhook;
  insert into webhooks.secrets (webhook_id, sealed, created_at) values (p_id, p_sealed, v_now);
  perform events.subscribe('webhook', p_id, p_types, 5::smallint);
  return v_webhook;
end;
$$;

create function webhooks.change(p_id uuid, p_url text, p_types text[], p_is_enabled boolean)
returns webhooks.webhooks
language plpgsql
volatile
set search_path = ''
as $$
-- Changes what is not null of a webhook. One that is disabled is silenced; one that is enabled again hears what happens from now
-- on; that one, and one that is moved, has its five days anew. Null, and nothing changes, where it is to be enabled while
-- something that waited for it is still to be dropped. A second call changes nothing. The caller has locked it. Locks: its
-- deliveries, which are never waited for → their tasks.
declare
  v_webhook webhooks.webhooks;
begin
  if p_is_enabled and exists (select from webhooks.webhooks as w where w.id = p_id and not w.is_enabled)
    and not webhooks.silence(p_id)
  then
    return null;
  end if;
  update webhooks.webhooks as w
  set url = coalesce(p_url, w.url), types = coalesce(p_types, w.types),
      is_enabled = coalesce(p_is_enabled, w.is_enabled),
      disabled_reason = case
        when coalesce(p_is_enabled, w.is_enabled) then null
        else coalesce(w.disabled_reason, 'admin')
      end,
      failing_since = case
        when coalesce(w.is_enabled or not p_is_enabled, true) and coalesce(p_url = w.url, true) then w.failing_since
      end
  where w.id = p_id
  returning w.* into v_webhook;
  if v_webhook.is_enabled then
    perform events.subscribe('webhook', p_id, v_webhook.types, 5::smallint);
  else
    perform webhooks.silence(p_id);
  end if;
  return v_webhook;
end;
$$;

create function webhooks.silence(p_id uuid, p_limit integer default 1000)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
-- Tells a webhook nothing more, which is disabled or deleted: its subscriptions go, and up to p_limit of what waited for it are
-- dropped. Whether nothing is left; what is, no attempt sends, and the scheduled task `drop_deliveries` drops it. A second call
-- goes on. The caller has locked the webhook. Locks: its deliveries, which are never waited for → their tasks.
begin
  perform events.subscribe('webhook', p_id, '{}', 5::smallint);
  return events.drop_open('webhook', p_id, 'the webhook is disabled', p_limit);
end;
$$;

create function webhooks.silent_backlogs(p_limit integer)
returns setof uuid
language sql
stable
set search_path = ''
as $$
  -- Webhooks that are disabled or deleted, and for which something waits, up to p_limit.
  select t.target
  from events.waiting_targets('webhook') as t (target)
  where not exists (select from webhooks.webhooks as w where w.id = t.target and w.is_enabled)
  limit p_limit
$$;

create function webhooks.drop_waiting(p_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- The scheduled task `drop_deliveries`: drops what waits for a webhook that is disabled or deleted, 10,000 in a run, which takes
-- half a second. Nothing of one that is enabled by then. A second call goes on. Locks: webhook, so that nobody enables it
-- meanwhile → its deliveries, which are never waited for → their tasks.
declare
  v_is_enabled boolean;
begin
  select w.is_enabled into v_is_enabled from webhooks.webhooks as w where w.id = p_id for no key update;
  if v_is_enabled is not true then
    perform webhooks.silence(p_id, 10000);
  end if;
end;
$$;

create function webhooks.rotate_secret(p_id uuid, p_sealed text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Signs with a new secret from now on, and for 24 hours with the one before, too. Five at most sign at once: whoever
-- rotates again and again, since the answers were lost, does not lengthen every message. The caller has locked the
-- webhook. Locks: its secrets.
declare
  v_now constant timestamptz := core.now();
begin
  update webhooks.secrets as s set expires_at = v_now + interval '24 hours' where s.webhook_id = p_id and s.expires_at is null;
  insert into webhooks.secrets (webhook_id, sealed, created_at) values (p_id, p_sealed, v_now);
  delete from webhooks.secrets as s
  where s.webhook_id = p_id and s.expires_at is not null and s.sealed not in (
    select k.sealed from webhooks.secrets as k
    where k.webhook_id = p_id and k.expires_at > v_now
    order by k.expires_at desc
    limit 4
  );
end;
$$;
