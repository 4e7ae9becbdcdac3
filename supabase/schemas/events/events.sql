-- events: telling whoever should know. A fact that somebody may want to hear of is one row of events.log, written by the
-- procedure that makes it true, in the same transaction. It knows no other domain but queue, whose tasks deliver. In this
-- order: events.sql (what happened), types.sql (what there is to tell, made from the catalogue in
-- `_shared/events/catalogue.ts`), subscriptions.sql (who hears what), publishing.sql, deliveries.sql, forgetting.sql.

create schema events;

create table events.log (
  id uuid primary key default core.new_id(),
  -- One of events.types(), which events.publish sees to.
  type text not null,
  -- Whose it is; null for what is about no user, and for what must outlive them.
  user_id uuid,
  data jsonb not null,
  -- What it goes back to: a request's id.
  metadata jsonb not null,
  created_at timestamptz not null,
  -- When it goes, as its type says.
  expires_at timestamptz not null
);
alter table events.log enable row level security;
create index log_user on events.log (user_id) where user_id is not null;
create index log_expiry on events.log (expires_at);
comment on table events.log is 'What happened, each fact once, in the transaction that made it true.';

select core.keep_rows_out_of_logs('events.log');
