-- Made from the catalogue in supabase/functions/_shared/events/catalogue.ts by `deno task generate`.

-- A type of event, how long it is kept in the log, and the channels by which its user may be told.
create type events.type as (type text, keep interval, channels text[]);

-- Every type that there is.
create function events.types()
returns events.type[]
language sql
stable
return array[
  row('video.submitted', '7 days', '{}')::events.type,
  row('video.started', '7 days', '{}')::events.type,
  row('video.progressed', '1 days', '{}')::events.type,
  row('video.completed', '30 days', '{inbox,push}')::events.type,
  row('video.failed', '30 days', '{inbox,push}')::events.type,
  row('video.cancelled', '30 days', '{}')::events.type,
  row('credits.changed', '30 days', '{}')::events.type,
  row('purchase.credited', '90 days', '{inbox,push}')::events.type,
  row('purchase.refunded', '90 days', '{inbox,push}')::events.type,
  row('account.closed', '90 days', '{}')::events.type,
  row('account.merged', '90 days', '{inbox}')::events.type,
  row('alert.raised', '90 days', '{}')::events.type,
  row('alert.resolved', '90 days', '{}')::events.type,
  row('alert.acknowledged', '90 days', '{}')::events.type,
  row('report.made', '90 days', '{}')::events.type,
  row('webhook.test', '7 days', '{}')::events.type
];
