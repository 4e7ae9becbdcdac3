create function videos.accept_video(
  p_user_id uuid, p_network text, p_request_id text, p_model_id uuid, p_prompt text, p_settings jsonb,
  p_image_url text, p_providers text[], p_client_reference text, p_moderated_by text, p_project_id uuid, p_image_upload_id uuid,
  p_source_job_id uuid, out outcome jsonb, out limits text
)
language plpgsql
volatile
set search_path = ''
as $$
-- Accepts a video or says why not, in the order of what it costs to find out. Nothing is written before the last
-- refusal but the counted attempt, and what has expired. `outcome` is a refusal, or `data`: `{ job_id, status, credits_used,
-- credits_remaining, created_at }`; `limits` are as in guard.taken. Locks: rate-limit rows → account → lots → project.
declare
  v_taken guard.taken;
  v_account credits.accounts;
  v_seen record;
  v_model videos.models;
  v_settings jsonb;
  v_fields jsonb := '[]';
  v_price bigint;
  v_job_id uuid;
  v_now timestamptz;
  -- What models and providers are asked about is whether there is a picture, wherever it is.
  v_image constant text := coalesce(p_image_url, p_image_upload_id::text);
  v_upload videos.uploads;
  v_has_inputs constant boolean := videos.inputs_in(p_settings) <> '{}';
  v_said text := p_prompt;
begin
  v_taken := guard.take('{generation_attempts,generation_attempts_network}', p_user_id, p_network, 'generate-video');
  limits := v_taken.limits;
  if v_taken.refusal is not null then
    outcome := v_taken.refusal - 'limits';
    return;
  end if;

  -- All that is only read, in one statement. The account was locked before, so that it also tells what became of its
  -- user while this waited.
  v_account := credits.lock_account(p_user_id);
  select m as model, not accounts.is_out(u) and not u.is_banned as is_active,
    (select f.is_enabled from ops.feature_flags as f where f.key = 'generation') as is_enabled,
    (select f.is_enabled from ops.feature_flags as f where f.key = 'processing_consent') as asks_consent, u.accepted_processors,
    (select f.pattern from videos.moderation_filters as f where f.action = 'refuse') as pattern
  into v_seen
  from accounts.users as u
  left join videos.models as m on m.id = p_model_id and m.is_available
  where u.id = p_user_id;
  v_model := v_seen.model;

  if not v_seen.is_active then
    -- Who is answered says the language of every outcome.
    outcome := (accounts.admit(p_user_id)).refusal - 'language';
    return;
  end if;
  if not v_seen.is_enabled then
    outcome := guard.refusal('feature/switched-off', '{"feature": "generation"}');
    return;
  end if;
  if v_has_inputs then
    v_said := videos.said(v_model.inputs, p_prompt, p_settings);
  end if;
  if videos.folded(v_said) ~ v_seen.pattern and videos.find_moderation_term(v_said, 'refuse') is not null then
    outcome := guard.refusal('prompt/refused', '{"reason": "policy"}');
    return;
  end if;
  if p_project_id is not null and not videos.has_project(p_user_id, p_project_id) then
    outcome := guard.refusal('resource/not-found');
    return;
  end if;
  if v_model.id is null then
    outcome := guard.refusal('model/not-available', jsonb_build_object('model_id', p_model_id));
    return;
  end if;
  if v_seen.asks_consent and not videos.processors(v_model.id, p_moderated_by) <@ v_seen.accepted_processors then
    outcome := guard.refusal(
      'consent/missing', jsonb_build_object('processors', videos.processors(v_model.id, p_moderated_by))
    );
    return;
  end if;
  v_settings := v_model.defaults || p_settings;
  -- Most ask for nothing but the defaults, which fit.
  if p_settings <> '{}' or v_image is not null or v_model.requires_image then
    v_fields := videos.unfitting(v_model, p_settings, v_image);
  end if;
  if (v_model.category = 'video_to_video') <> (p_source_job_id is not null) then
    v_fields := v_fields || jsonb_build_object('path', 'source_job_id', 'message', case
      when p_source_job_id is null then 'This model needs a video' else 'This model takes no video' end);
  end if;
  if v_fields = '[]' and not videos.is_offered(v_model, p_prompt, v_settings, v_image, p_providers) then
    v_fields := videos.unmakeable(v_model, p_prompt, v_settings, v_image);
    if v_fields = '[]' then
      outcome := guard.refusal('feature/switched-off', '{"feature": "generation"}');
      return;
    end if;
  end if;
  if v_fields <> '[]' then
    outcome := guard.refusal('request/malformed', jsonb_build_object('fields', v_fields));
    return;
  end if;
  if p_image_upload_id is not null then
    -- With the account locked, so that nobody deletes it meanwhile.
    v_upload := videos.find_upload(p_user_id, p_image_upload_id, core.now());
    if v_upload.id is null then
      outcome := guard.refusal('resource/not-found');
      return;
    elsif v_upload.status <> 'ready' then
      outcome := guard.refusal('resource/wrong-state', jsonb_build_object('status', v_upload.status));
      return;
    end if;
  end if;
  if p_source_job_id is not null or v_has_inputs then
    outcome := videos.refuse_sources(p_user_id, p_source_job_id, v_model.inputs, p_settings);
    if outcome is not null then
      return;
    end if;
  end if;
  v_price := videos.price(v_model, v_settings);
  if v_account.balance < v_price then
    outcome := guard.refusal(
      'payment/insufficient-credits', jsonb_build_object('required', v_price, 'available', v_account.balance)
    );
    return;
  end if;
  -- Last, with the account locked and the balance known: what is counted here is accepted.
  v_taken := guard.take('{uncaptured_jobs,video_generation}', p_user_id, p_network, 'generate-video');
  limits := concat_ws(',', v_taken.limits, limits);
  if v_taken.refusal is not null then
    outcome := v_taken.refusal - 'limits';
    return;
  end if;
  -- What guards money and was not counted, as its row is missing, is broken.
  if array_position(v_taken.hits, null) is not null then
    outcome := guard.refusal('database/unavailable');
    return;
  end if;

  v_job_id := core.new_id();
  -- By this time settle_video_job gives the hit back.
  v_now := v_taken.hits[1];
  perform credits.place_hold(v_account, v_price, v_job_id);
  insert into videos.jobs (
    id, user_id, model_id, model_name, prompt, settings, image_url, credits_used, request_id, created_at, due_at,
    client_reference, project_id, image_upload_id, source_job_id
  )
  values (
    v_job_id, p_user_id, v_model.id, v_model.name, p_prompt, v_settings, p_image_url, v_price, p_request_id, v_now,
    v_now + v_model.start_within, p_client_reference, p_project_id, p_image_upload_id, p_source_job_id
  );
  if p_project_id is not null then
    perform videos.count_in_project(p_project_id, 1);
  end if;
  -- The function submits at once; the worker only if that did not happen within 2 seconds.
  perform queue.add('submit', v_job_id, p_user_id, v_now + interval '2 seconds', p_request_id => p_request_id);
  outcome := format(
    '{"data":{"job_id":"%s","status":"pending","credits_used":%s,"credits_remaining":%s,"created_at":"%s"}}',
    v_job_id, v_price, v_account.balance - v_price, core.to_iso(v_now)
  );
end;
$$;
