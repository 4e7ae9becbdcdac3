create function api.products(p_user_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- What is sold: `data` is `{ products }`, in the order of the operator. Counts against `reads`. Locks: rate-limit row.
declare
  v_caller record;
  v_data jsonb;
begin
  v_caller := guard.enter(p_user_id, 'products', '{reads}', null, p_session_id => p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  select jsonb_build_object(
    'products', coalesce(jsonb_agg(purchases.product_json(p) order by p.position, p.product_id), '[]')
  ) into v_data
  from purchases.products as p
  where p.is_available;
  return guard.answer(v_data, v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.products to service_role;
