/** What the platform's Realtime has in the database of a project: its schema, its table of messages, and who may use them. */
import { owner } from "../platform-roles.ts";

/** What Postgres notifies of; the database is the project's own. */
export const notification = "realtime_messages";

/** As github.com/supabase/realtime makes it, but for the partitions of the table: one a day there, none here. */
export const realtimeSchema = `
create schema if not exists realtime;

create table if not exists realtime.messages (
  topic text not null,
  extension text not null,
  payload jsonb,
  event text,
  private boolean default false,
  updated_at timestamp not null default now(),
  inserted_at timestamp not null default now(),
  id uuid not null default gen_random_uuid(),
  primary key (id, inserted_at)
);
alter table realtime.messages enable row level security;

create or replace function realtime.topic() returns text language sql stable as $$
  select nullif(current_setting('realtime.topic', true), '')::text;
$$;

create or replace function realtime.send(payload jsonb, event text, topic text, private boolean default true)
returns void language plpgsql as $$
declare
  generated_id uuid;
  final_payload jsonb;
begin
  begin
    generated_id := gen_random_uuid();
    if payload ? 'id' then
      final_payload := payload;
    else
      final_payload := jsonb_set(payload, '{id}', to_jsonb(generated_id));
    end if;
    execute format('set local realtime.topic to %L', topic);
    insert into realtime.messages (id, payload, event, topic, private, extension)
    values (generated_id, final_payload, event, topic, private, 'broadcast');
  exception when others then
    raise warning 'ErrorSendingBroadcastMessage: %', sqlerrm;
  end;
end;
$$;

-- The platform reads the write-ahead log, which needs a setting that a developer's own server may not have. Here whoever
-- sends notifies, of the id alone: a notification is at most 8000 bytes long.
create or replace function realtime.notify() returns trigger language plpgsql as $$
begin
  perform pg_notify('${notification}', new.id::text);
  return null;
end;
$$;
create or replace trigger notify after insert on realtime.messages for each row
  when (new.extension = 'broadcast' and new.private) execute function realtime.notify();
`;

export const realtimeGrants = `
grant usage on schema realtime to ${owner}, anon, authenticated, service_role;
grant select, insert, update on realtime.messages to ${owner}, anon, authenticated, service_role;
grant execute on function realtime.topic(), realtime.send(jsonb, text, text, boolean)
  to ${owner}, anon, authenticated, service_role;
`;
