create function api.admin_models(
  p_admin_id uuid, p_request_id text, p_model_id uuid, p_is_available boolean, p_reason text,
  p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Offers a model or takes it out of the catalogue. `data` is the model as the catalogue has it, with
-- `is_available` and without `processed_by`. model/not-available for an unknown model. A second call changes nothing and writes
-- nothing. Counts against `admin`. Locks: rate-limit row → model.
declare
  v_caller record;
  v_refusal jsonb;
  v_model videos.models;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-models', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  select m.* into v_model from videos.models as m where m.id = p_model_id for no key update;
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  if v_model.id is null then
    return guard.refusal('model/not-available', jsonb_build_object('model_id', p_model_id), v_caller.limits);
  end if;
  if v_model.is_available <> p_is_available then
    update videos.models as m set is_available = p_is_available where m.id = p_model_id;
    insert into ops.admin_actions (action, admin_id, model_id, reason, request_id, created_at)
    values (
      (case when p_is_available then 'enable_model' else 'disable_model' end)::ops.admin_action, p_admin_id, p_model_id,
      p_reason, p_request_id, core.now()
    );
  end if;
  return guard.answer(
    videos.model_json(v_model) - 'processed_by' || jsonb_build_object('is_available', p_is_available), v_caller.limits,
    v_caller.language
  );
end;
$$;
grant execute on function api.admin_models to service_role;
