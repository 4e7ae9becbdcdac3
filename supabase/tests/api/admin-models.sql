-- admin-models: what its procedures decide.
begin;
select plan(8);

insert into auth.users (id, is_anonymous) values
  ('00000000-0000-4000-8000-000000000001', false), ('00000000-0000-4000-8000-000000000002', true);
select ops.make_admin('00000000-0000-4000-8000-000000000001');
create function pg_temp.list() returns jsonb language sql volatile as $$
  select api.get_admin_models('00000000-0000-4000-8000-000000000001') #> '{data,models}'
$$;
create function pg_temp.change(p_is_available boolean) returns jsonb language sql volatile as $$
  select api.patch_admin_models(
    '00000000-0000-4000-8000-000000000001', 'r', '0190a000-0000-7000-8000-000000000001', p_is_available, 'for a reason'
  )
$$;
create function pg_temp.kling() returns jsonb language sql volatile as $$
  select m.model from jsonb_array_elements(pg_temp.list()) as m (model)
  where m.model ->> 'id' = '0190a000-0000-7000-8000-000000000001'
$$;

select is(
  api.get_admin_models('00000000-0000-4000-8000-000000000002') ->> 'error', 'ERR_4006', 'who is no admin sees nothing'
);
select is(
  (select array_agg(m.model ->> 'id' order by m.number) from jsonb_array_elements(pg_temp.list()) with ordinality as m (model, number)),
  (select array_agg(m.id::text order by m.position, m.id) from videos.models as m), 'every model is shown, in the operator''s order'
);
select is(pg_temp.change(false) #>> '{data,is_available}', 'false', 'a model is taken away');
select is(pg_temp.kling() -> 'is_available', 'false', 'and still shown');
select is(
  pg_temp.kling() - 'providers', pg_temp.change(false) -> 'data', 'as a change answers it'
);
select is(
  (select count(*) from ops.admin_actions as a where a.model_id = '0190a000-0000-7000-8000-000000000001'), 1::bigint,
  'what changes nothing is not written down'
);
update videos.providers set breaker = 'open', opened_at = core.now() where name = 'fal';
update videos.providers set is_enabled = false where name = 'replicate';
delete from videos.model_providers where model_id = '0190a000-0000-7000-8000-000000000001';
select is(pg_temp.kling() -> 'providers', '[]', 'one that nobody makes has no providers');
insert into videos.model_providers (model_id, preference, provider, provider_model, cost_cents) values
  ('0190a000-0000-7000-8000-000000000001', 2, 'fal', 'a', 7.5), ('0190a000-0000-7000-8000-000000000001', 1, 'replicate', 'b', 35);
select is(
  pg_temp.kling() -> 'providers',
  '[{"provider": "replicate", "is_enabled": false, "breaker": "closed", "cost_cents": 35},
    {"provider": "fal", "is_enabled": true, "breaker": "open", "cost_cents": 7.5}]',
  'providers come in the order in which they are asked'
);

select * from finish();
rollback;
