create table ops.error_log (
  minute timestamptz not null,
  code text not null check (code ~ '^ERR_[56]\d{3}$'),
  -- The endpoint, or `tick`.
  endpoint text not null,
  -- Which of the minute's rows of this code and endpoint.
  place smallint not null,
  occurred_at timestamptz not null,
  severity text not null generated always as (core.error_severity(code)) stored,
  user_id uuid,
  request_id text,
  -- Redacted by whoever recorded it.
  context jsonb not null,
  -- The errors that this row stands for: its own, and those that had no row of their own.
  count integer not null check (count > 0),
  primary key (minute, code, endpoint, place)
);
alter table ops.error_log enable row level security;
create index error_log_request on ops.error_log (request_id);
comment on table ops.error_log is 'ERR_5xxx and ERR_6xxx of requests, of the work after them, and of scheduled tasks.';

create function ops.record_error(
  p_code text, p_endpoint text, p_user_id uuid, p_request_id text, p_context jsonb, p_count integer default 1
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Records that something went wrong, so many times. Of one code and endpoint 5 a minute have rows of their own; the
-- others add to the count of one of them, so that a day of nothing but errors writes some 20 MB and not the disk full.
-- `data`: `{ recorded: "whole" | "counted" }`. A second call records a second error. Locks: the row that it counts in.
declare
  v_now constant timestamptz := core.now();
  v_minute constant timestamptz := date_trunc('minute', v_now);
  v_rows constant integer := 5;
  -- Any of them, so that a flood does not wait for one row.
  v_place constant integer := 1 + floor(random() * v_rows);
begin
  for v_free in 1 .. v_rows loop
    insert into ops.error_log (minute, code, endpoint, place, occurred_at, user_id, request_id, context, count)
    values (
      v_minute, p_code, p_endpoint, v_free, v_now, p_user_id, p_request_id,
      -- A stack with its causes is shorter.
      case when length(p_context::text) <= 8000 then p_context
        else jsonb_build_object('cut', left(p_context::text, 4000)) end,
      p_count
    )
    on conflict do nothing;
    if found then
      return guard.answer('{"recorded": "whole"}');
    end if;
  end loop;
  update ops.error_log as e
  set count = e.count + p_count
  where e.minute = v_minute and e.code = p_code and e.endpoint = p_endpoint and e.place = v_place;
  return guard.answer('{"recorded": "counted"}');
end;
$$;

-- A row of the log, for an admin.
create function ops.error_json(p_error ops.error_log)
returns jsonb
language sql
stable
return jsonb_build_object(
  'minute', core.to_iso((p_error).minute), 'at', core.to_iso((p_error).occurred_at), 'code', (p_error).code,
  'severity', (p_error).severity, 'endpoint', (p_error).endpoint, 'place', (p_error).place,
  'message', coalesce((p_error).context #>> '{error,message}', (p_error).context ->> 'error'), 'context', (p_error).context,
  'count', (p_error).count, 'user_id', (p_error).user_id, 'request_id', (p_error).request_id
);
