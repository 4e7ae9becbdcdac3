-- One row per finished request. There is no "in progress" row: a crash leaves nothing to clean up.
create table guard.idempotency_keys (
  caller uuid not null,
  endpoint text not null,
  -- Up to 255 characters; the wrapper has checked it.
  key text not null,
  -- SHA-256 of the canonical request, in hex.
  fingerprint text not null,
  outcome jsonb not null,
  expires_at timestamptz not null,
  primary key (caller, endpoint, key)
);
alter table guard.idempotency_keys enable row level security;
-- Rows come in the order in which they expire, which is what a BRIN needs to find the oldest at next to no cost.
create index idempotency_keys_expires_at on guard.idempotency_keys using brin (expires_at) with (autosummarize = on);
comment on table guard.idempotency_keys is 'Outcomes of keyed requests, kept 24 hours for replay.';

-- What nobody outside knows. A database has its own from its first migration on.
create table guard.secrets (
  name text primary key,
  secret bytea not null check (octet_length(secret) >= 32)
);
alter table guard.secrets enable row level security;
comment on table guard.secrets is 'Random bytes that keep what callers write from meaning anything to the database.';

-- The advisory lock of an idempotency key. A caller writes the key, and must be able to choose nobody else's lock: it is
-- hashed with a secret, and the locks of one number are for these keys alone; whatever else we lock has two.
create function guard.lock_key(p_secret bytea, p_caller uuid, p_endpoint text, p_key text)
returns bigint
language sql
stable
return hashtextextended(sha256(p_secret || convert_to(format('%s %s %s', p_caller, p_endpoint, p_key), 'UTF8'))::text, 0);

create function guard.claim(p_caller uuid, p_endpoint text, p_key text, p_fingerprint text)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Claims a key for the rest of the transaction. Null: the work is the caller's to do, and guard.finish ends it.
-- Otherwise the answer to give: the stored outcome with `replayed`, idempotency/key-reused for another request under
-- the same key, both of which count in `replays`; idempotency/in-progress while the first request runs. Locks: an
-- advisory lock on (caller, endpoint, key), never waited for → rate-limit row, for a known key.
declare
  v_is_mine boolean;
  v_row guard.idempotency_keys;
  v_taken guard.taken;
begin
  select pg_try_advisory_xact_lock(guard.lock_key(s.secret, p_caller, p_endpoint, p_key)) into strict v_is_mine
  from guard.secrets as s
  where s.name = 'lock_keys';
  if not v_is_mine then
    return guard.refusal('idempotency/in-progress', '{"retry_after": 1}');
  end if;

  -- A statement of its own: its snapshot is younger than the lock, so it sees what the last holder committed.
  select k.* into v_row
  from guard.idempotency_keys as k
  where k.caller = p_caller and k.endpoint = p_endpoint and k.key = p_key;

  if not found or v_row.expires_at <= core.now() then
    return null;
  end if;
  v_taken := guard.take('{replays}', p_caller, null, p_endpoint);
  if v_taken.refusal is not null then
    return v_taken.refusal;
  end if;
  if v_row.fingerprint <> p_fingerprint then
    return guard.refusal('idempotency/key-reused');
  end if;
  return v_row.outcome || '{"replayed": true}';
end;
$$;

create function guard.finish(
  p_caller uuid, p_endpoint text, p_key text, p_fingerprint text, p_outcome jsonb
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Ends what guard.claim began and returns the outcome. It is stored without its limits, which belong to the
-- moment, unless its code is one that may be tried again. An expired row of the same key is overwritten.
begin
  if p_outcome ? 'error' and not core.is_replayed_error(p_outcome ->> 'error') then
    return p_outcome;
  end if;
  insert into guard.idempotency_keys as k (caller, endpoint, key, fingerprint, outcome, expires_at)
  values (p_caller, p_endpoint, p_key, p_fingerprint, p_outcome - 'limits', core.now() + interval '24 hours')
  on conflict (caller, endpoint, key) do update
    set fingerprint = excluded.fingerprint, outcome = excluded.outcome, expires_at = excluded.expires_at;
  return p_outcome;
end;
$$;

create function guard.pass_keys(p_guest_id uuid, p_heir_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Gives a guest's keys to their heir, so that a retry by the heir is a replay. Of a key that the heir has used as well the
-- guest's is dropped. Raises serialization_failure while the heir's own request under such a key runs: the caller tries
-- the whole again. Locks: advisory locks on the keys of what was done, not waited for → the guest's rows.
begin
  perform from guard.idempotency_keys as k join guard.secrets as s on s.name = 'lock_keys'
  where k.caller = p_guest_id and k.outcome ? 'data' and k.expires_at > core.now()
    and not pg_try_advisory_xact_lock(guard.lock_key(s.secret, p_heir_id, k.endpoint, k.key));
  if found then
    raise exception 'a request under a key of the guest runs' using errcode = 'serialization_failure';
  end if;
  delete from guard.idempotency_keys as k
  using guard.idempotency_keys as o
  where k.caller = p_guest_id and o.caller = p_heir_id and o.endpoint = k.endpoint and o.key = k.key;
  update guard.idempotency_keys as k set caller = p_heir_id where k.caller = p_guest_id;
end;
$$;

select core.keep_rows_out_of_logs('guard.idempotency_keys');
