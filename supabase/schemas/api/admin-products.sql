create function api.get_admin_products(p_admin_id uuid, p_session_id uuid default null)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- What is sold and what was, in the order of the operator, and 50 purchases at most that wait for a product: `data` is
-- `{ products, waiting }`, as purchases.record_json and purchases.waiting_for_product have them. Counts against `admin`.
-- Locks: rate-limit row.
declare
  v_caller record;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-products', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  return guard.answer(jsonb_build_object(
    'products', (
      select coalesce(jsonb_agg(purchases.record_json(p) order by p.position, p.product_id), '[]') from purchases.products as p
    ),
    'waiting', purchases.waiting_for_product(50)
  ), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.get_admin_products to service_role;

create function api.post_admin_products(
  p_admin_id uuid, p_request_id text, p_product_id text, p_kind text, p_name text, p_description text, p_credits bigint,
  p_reason text, p_trial_credits bigint default 0, p_is_available boolean default true, p_is_featured boolean default false,
  p_position integer default 0, p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Adds a product: `data` is it, as purchases.record_json has it. What waits for it is credited from the next tick on.
-- resource/wrong-state (`exists`) for an id that is there, as in a second call. Counts against `admin`. Locks: rate-limit
-- row → the table against others that change it → the scheduled task.
declare
  v_caller record;
  v_refusal jsonb;
  v_product purchases.products;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-products', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  -- Whoever credits only reads it, and does not wait.
  lock table purchases.products in share row exclusive mode;
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  insert into purchases.products (
    product_id, kind, name, description, credits, trial_credits, is_available, is_featured, position
  )
  values (
    p_product_id, p_kind::purchases.product_kind, p_name, p_description, p_credits, p_trial_credits, p_is_available,
    p_is_featured, p_position
  )
  on conflict do nothing
  returning * into v_product;
  if v_product.product_id is null then
    return guard.refusal('resource/wrong-state', '{"status": "exists"}', v_caller.limits, v_caller.language);
  end if;
  perform core.run_soon('credit_purchases');
  insert into ops.admin_actions (action, admin_id, subject, details, reason, request_id, created_at)
  values (
    'create_product', p_admin_id, 'product ' || p_product_id,
    jsonb_build_object('before', null, 'after', purchases.record_json(v_product)), p_reason, p_request_id, core.now()
  );
  return guard.answer(purchases.record_json(v_product), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.post_admin_products to service_role;

create function api.patch_admin_products(
  p_admin_id uuid, p_request_id text, p_product_id text, p_reason text, p_kind text default null, p_name text default null,
  p_description text default null, p_credits bigint default null, p_trial_credits bigint default null,
  p_is_available boolean default null, p_is_featured boolean default null, p_position integer default null,
  p_session_id uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Changes what is given of a product: `data` is it as it is then. What was credited stays as it was; what waits for a product
-- of this kind is credited from the next tick on. resource/not-found for one that is not there. A second call changes nothing
-- and writes nothing. Counts against `admin`. Locks: rate-limit row → the table against others that change it → the scheduled
-- task.
declare
  v_caller record;
  v_refusal jsonb;
  v_before purchases.products;
  v_after purchases.products;
begin
  v_caller := ops.enter_admin(p_admin_id, 'admin-products', p_session_id);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

  lock table purchases.products in share row exclusive mode;
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal || jsonb_build_object('limits', v_caller.limits);
  end if;
  select p.* into v_before from purchases.products as p where p.product_id = p_product_id;
  if v_before.product_id is null then
    return guard.refusal('resource/not-found', '{}', v_caller.limits, v_caller.language);
  end if;
  update purchases.products as p
  set kind = coalesce(p_kind::purchases.product_kind, p.kind), name = coalesce(p_name, p.name),
      description = coalesce(p_description, p.description), credits = coalesce(p_credits, p.credits),
      trial_credits = coalesce(p_trial_credits, p.trial_credits), is_available = coalesce(p_is_available, p.is_available),
      is_featured = coalesce(p_is_featured, p.is_featured), position = coalesce(p_position, p.position)
  where p.product_id = p_product_id
  returning p.* into v_after;
  if v_after is distinct from v_before then
    perform core.run_soon('credit_purchases');
    insert into ops.admin_actions (action, admin_id, subject, details, reason, request_id, created_at)
    values (
      'change_product', p_admin_id, 'product ' || p_product_id,
      jsonb_build_object('before', purchases.record_json(v_before), 'after', purchases.record_json(v_after)),
      p_reason, p_request_id, core.now()
    );
  end if;
  return guard.answer(purchases.record_json(v_after), v_caller.limits, v_caller.language);
end;
$$;
grant execute on function api.patch_admin_products to service_role;
