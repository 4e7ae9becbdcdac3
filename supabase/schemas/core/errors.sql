-- Made from the registry in supabase/functions/_shared/errors/error-codes.ts by `deno task generate`.

create function core.error_code(p_category text)
returns text
language plpgsql
immutable
set search_path = ''
as $$
-- The code of an error by its category. Raises case_not_found for one that is none.
begin
  case p_category
    when 'payment/insufficient-credits' then return 'ERR_4001';
    when 'model/not-available' then return 'ERR_4002';
    when 'prompt/refused' then return 'ERR_4003';
    when 'limit/rate-exceeded' then return 'ERR_4004';
    when 'auth/unauthenticated' then return 'ERR_4005';
    when 'auth/forbidden' then return 'ERR_4006';
    when 'resource/not-found' then return 'ERR_4007';
    when 'request/malformed' then return 'ERR_4008';
    when 'resource/wrong-state' then return 'ERR_4009';
    when 'idempotency/key-missing' then return 'ERR_4010';
    when 'idempotency/key-reused' then return 'ERR_4011';
    when 'idempotency/in-progress' then return 'ERR_4012';
    when 'request/too-large' then return 'ERR_4013';
    when 'request/method-not-allowed' then return 'ERR_4014';
    when 'device/not-verified' then return 'ERR_4015';
    when 'purchase/not-verified' then return 'ERR_4016';
    when 'auth/suspended' then return 'ERR_4017';
    when 'request/not-json' then return 'ERR_4018';
    when 'upload/not-usable' then return 'ERR_4019';
    when 'upload/quota-exceeded' then return 'ERR_4020';
    when 'consent/missing' then return 'ERR_4021';
    when 'video/removed' then return 'ERR_4022';
    when 'provider/timed-out' then return 'ERR_5001';
    when 'provider/unavailable' then return 'ERR_5002';
    when 'provider/rejected' then return 'ERR_5003';
    when 'database/unavailable' then return 'ERR_6001';
    when 'storage/failed' then return 'ERR_6002';
    when 'internal/error' then return 'ERR_6003';
    when 'feature/switched-off' then return 'ERR_6004';
  end case;
end;
$$;

-- How grave it is, as its level in the log.
create function core.error_severity(p_code text)
returns text
language sql
immutable
return case
  when p_code in ('ERR_4001', 'ERR_4002', 'ERR_4003', 'ERR_4004', 'ERR_4005', 'ERR_4007', 'ERR_4008', 'ERR_4009', 'ERR_4010', 'ERR_4012', 'ERR_4013', 'ERR_4014', 'ERR_4017', 'ERR_4018', 'ERR_4019', 'ERR_4020', 'ERR_4021', 'ERR_4022', 'ERR_6004') then 'info'
  when p_code in ('ERR_4006', 'ERR_4011', 'ERR_4015', 'ERR_4016') then 'warn'
  when p_code in ('ERR_5001', 'ERR_5002', 'ERR_5003', 'ERR_6001', 'ERR_6002') then 'error'
  when p_code in ('ERR_6003') then 'critical'
end;

-- Whether a keyed request that ended so answers the same again. The others say something about the moment, not about
-- the request, so the same key may try again.
create function core.is_replayed_error(p_code text)
returns boolean
language sql
immutable
return p_code in (
  'ERR_4001', 'ERR_4002', 'ERR_4003', 'ERR_4007', 'ERR_4009', 'ERR_4015', 'ERR_4016', 'ERR_4019', 'ERR_4022', 'ERR_5001', 'ERR_5002', 'ERR_5003'
);
