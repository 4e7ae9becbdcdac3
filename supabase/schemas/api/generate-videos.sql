create function api.generate_videos(
  p_user_id uuid, p_network text, p_idempotency_key text, p_fingerprint text, p_request_id text, p_mode text, p_items jsonb,
  p_providers text[] default null, p_session_id uuid default null, p_moderated_by text default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Accepts several videos once per idempotency key, which covers them all, as videos.accept_videos does: p_items are requests of
-- api.generate_video, p_mode is `all` or `any`. A second call answers what the first did, the items that were refused in the
-- mode `any` included. Locks: idempotency key → rate-limit rows → account → lots → projects.
declare
  v_caller record;
  v_outcome jsonb;
begin
  v_caller := accounts.admit(p_user_id, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_outcome := guard.claim(p_user_id, 'generate-videos', p_idempotency_key, p_fingerprint);
  if v_outcome is null then
    v_outcome := guard.finish(
      p_user_id, 'generate-videos', p_idempotency_key, p_fingerprint,
      videos.accept_videos(p_user_id, p_network, p_request_id, p_mode, p_items, p_providers, p_moderated_by)
    );
  end if;
  return guard.in_language(v_outcome, v_caller.language);
end;
$$;
grant execute on function api.generate_videos to service_role;
