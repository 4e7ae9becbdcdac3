-- What the handlers of the domain `webhooks` call, in _shared/webhooks/tasks.ts.

create function api.finish_webhook_delivery(
  p_task_id bigint, p_attempt integer, p_delivery_id uuid, p_answer jsonb default null, p_failure text default null,
  p_retry_after integer default null, p_is_final boolean default false
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Ends an attempt of a `deliver_webhook` task: `data` is `{ outcome }`, as webhooks.end_attempt says it. p_answer is what
-- the server said, `{ status, duration_ms, text }`, null where none was asked; p_failure why that is no success; p_retry_after,
-- in seconds, what it asked for; p_is_final whether every other attempt would fail alike. A second call changes nothing more. Locks: webhook → deliveries → tasks → alert.
begin
  return guard.answer(jsonb_build_object('outcome', webhooks.end_attempt(
    p_task_id, p_attempt, p_delivery_id, p_answer, p_failure, p_retry_after, p_is_final
  )));
end;
$$;
grant execute on function api.finish_webhook_delivery to service_role;
