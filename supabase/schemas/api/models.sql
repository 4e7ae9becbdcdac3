-- api: the procedures that functions call, a file an endpoint. The only schema that the Data API exposes, and in it
-- every procedure is service_role's alone.

create schema api;
grant usage on schema api to service_role;

create function api.models(p_user_id uuid, p_session_id uuid default null, p_moderated_by text default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- The catalogue: `data` is `{ models }`, in the order of the operator. p_moderated_by names the service that judges prompts,
-- if one does. Counts against `reads`.
declare
  v_caller record;
  v_data jsonb;
begin
  v_caller := guard.enter(p_user_id, 'models', '{reads}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  select jsonb_build_object('models', coalesce(jsonb_agg(videos.model_json(m, p_moderated_by) order by m.position, m.id), '[]'))
  into v_data
  from videos.models as m
  where m.is_available;
  return guard.answer(v_data, v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.models to service_role;
