-- metrics: what its procedures decide.
begin;
select plan(5);

select is(
  (select count(*) from jsonb_array_elements(api.metrics() -> 'data') as f where f ->> 'type' <> 'gauge'),
  (select count(*) from unnest(ops.metric_types())),
  'every metric that isolates count is a counter or a histogram'
);
select is(
  (select count(distinct f ->> 'name') from jsonb_array_elements(api.metrics() -> 'data') as f),
  (select count(*) from jsonb_array_elements(api.metrics() -> 'data') as f),
  'no name stands twice'
);
select api.record_metrics('[{"name": "requests", "labels": {"endpoint": "models", "status": "200", "code": "none"}, "count": 2}]');
select ops.fold_metrics();
select api.record_metrics('[{"name": "requests", "labels": {"endpoint": "models", "status": "200", "code": "none"}, "count": 3}]');
select ops.fold_metrics();
select is(
  (select f -> 'samples' from jsonb_array_elements(api.metrics() -> 'data') as f where f ->> 'name' = 'kinora_requests_total'),
  '[{"labels": {"endpoint": "models", "status": "200", "code": "none"}, "value": 5}]'::jsonb,
  'what was counted is counted from the beginning on'
);
delete from ops.metric_points as p where p.step <> 'total';
select is(
  (select f #>> '{samples,0,value}' from jsonb_array_elements(api.metrics() -> 'data') as f where f ->> 'name' = 'kinora_requests_total'),
  '5',
  'and does not fall when minutes, hours and days go'
);
select is(
  (select f #> '{samples,0}' from jsonb_array_elements(api.metrics() -> 'data') as f where f ->> 'name' = 'kinora_credits_owed'),
  '{"labels": {}, "value": 0}'::jsonb,
  'what the tables know is there'
);

select * from finish();
rollback;
