create function core.now()
returns timestamptz
language sql
volatile
-- A body of this form is bound when the function is made, so it needs no search_path, and the planner puts it in the
-- place of the call. A search_path of its own would cost 5 µs a call; docs/decisions/0012-hot-functions.md.
return clock_timestamp();
comment on function core.now() is
  'The time of every decision. A procedure reads it once, after taking its locks. Test databases replace it.';

-- A new UUID that sorts by the time it was made.
create function core.new_id()
returns uuid
language sql
volatile
-- UUID version 7 (RFC 9562): 48 bits of milliseconds, then random bits. New rows so land on one end of their
-- indexes; Postgres 17 has no function for it. Of a random UUID the first 15 characters are replaced, which end with its
-- version: 12 digits of time, one hyphen less than is usual, and a 7. The time has 11 digits until the year 2527.
return overlay(
  gen_random_uuid()::text
  placing '0' || to_hex((date_part('epoch', clock_timestamp()) * 1000)::bigint) || '-7' from 1 for 15
)::uuid;

-- A time as the API shows it: ISO 8601, UTC, milliseconds.
create function core.to_iso(p_time timestamptz)
returns text
language sql
stable
return to_char(p_time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');

-- No row made at that time or later has a smaller id.
create function core.first_id_at(p_time timestamptz)
returns uuid
language sql
immutable
-- Of the ids that core.new_id makes, which begin with 48 bits of milliseconds.
return encode(
  overlay('\x00000000000000000000000000000000'::bytea
    placing substring(int8send((date_part('epoch', p_time) * 1000)::bigint) from 3) from 1 for 6),
  'hex')::uuid;
