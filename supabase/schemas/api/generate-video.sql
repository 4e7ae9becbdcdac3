create function api.generate_video(
  p_user_id uuid, p_network text, p_idempotency_key text, p_fingerprint text, p_request_id text, p_model_id uuid,
  p_prompt text, p_settings jsonb, p_image_url text default null,
  p_providers text[] default null, p_client_reference text default null, p_session_id uuid default null,
  p_moderated_by text default null, p_project_id uuid default null, p_image_upload_id uuid default null,
  p_source_job_id uuid default null
)
returns json
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Accepts a video once per idempotency key, where one of p_providers, those that this deployment has keys for, can make
-- it; null is any. p_moderated_by names the service that judges prompts, if one does. A second call answers what the first
-- did; see videos.accept_video for the rest. Locks: idempotency key → rate-limit rows → account → lots → project.
declare
  v_caller record;
  v_outcome jsonb;
  v_accepted record;
  v_limits text;
begin
  v_caller := accounts.admit(p_user_id, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  v_outcome := guard.claim(p_user_id, 'generate-video', p_idempotency_key, p_fingerprint);
  if v_outcome is null then
    v_accepted := videos.accept_video(
      p_user_id, p_network, p_request_id, p_model_id, p_prompt, p_settings, p_image_url, p_providers, p_client_reference,
      p_moderated_by, p_project_id, p_image_upload_id, p_source_job_id
    );
    v_limits := v_accepted.limits;
    v_outcome := guard.finish(
      p_user_id, 'generate-video', p_idempotency_key, p_fingerprint, v_accepted.outcome
    );
  end if;
  return guard.reply(v_outcome, v_limits, v_caller.language);
end;
$$;
grant execute on function api.generate_video to service_role;
