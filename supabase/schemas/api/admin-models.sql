create function api.get_admin_models(p_admin_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Every model, offered or not, in the order of the operator: `data` is `{ models }`, each as videos.record_json has it, with
-- `providers`. Counts against `admin`. Locks: rate-limit row.
declare
  v_caller record;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-models', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  return guard.answer(jsonb_build_object('models', (
    select coalesce(jsonb_agg(
      videos.record_json(m) || jsonb_build_object('providers', videos.providers_json(m.id)) order by m.position, m.id
    ), '[]')
    from videos.models as m
  )), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.get_admin_models to service_role;

create function api.patch_admin_models(
  p_admin_id uuid, p_request_id text, p_model_id uuid, p_is_available boolean, p_reason text,
  p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Offers a model or takes it out of the catalogue: `data` is the model as videos.record_json has it. model/not-available for an unknown model. A second call changes nothing and writes
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
    return guard.refusal('model/not-available', jsonb_build_object('model_id', p_model_id), v_caller.limits, v_caller.language);
  end if;
  if v_model.is_available <> p_is_available then
    update videos.models as m set is_available = p_is_available where m.id = p_model_id returning m.* into v_model;
    insert into ops.admin_actions (action, admin_id, model_id, reason, request_id, created_at)
    values (
      (case when p_is_available then 'enable_model' else 'disable_model' end)::ops.admin_action, p_admin_id, p_model_id,
      p_reason, p_request_id, core.now()
    );
  end if;
  return guard.answer(videos.record_json(v_model), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.patch_admin_models to service_role;
