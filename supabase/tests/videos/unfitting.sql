-- What of a request depends on its model.
begin;
select plan(6);

create function pg_temp.model(p_id text) returns videos.models language sql
as $$ select m from videos.models as m where m.id = ('0190a000-0000-7000-8000-00000000000' || p_id)::uuid $$;

select is(
  (pg_temp.model('1')).defaults,
  '{"duration_seconds": 5, "resolution": "1080p", "aspect_ratio": "16:9"}'::jsonb,
  'what is not asked for is the model''s default'
);
select is(
  (
    select array_agg(m.id) from videos.models as m
    where videos.unfitting(m, m.defaults, case when m.requires_image then 'https://a.example/a.png' end) <> '[]'
  ),
  null, 'every model takes its own defaults'
);
select is(
  videos.unfitting(pg_temp.model('2'), '{"duration_seconds": 8, "aspect_ratio": "9:16"}', null), '[]'::jsonb,
  'what is asked for is taken'
);
select is(
  videos.unfitting(pg_temp.model('1'), '{"duration_seconds": 6, "resolution": "8k"}', 'https://a.example/a.png'),
  '[
    {"path": "settings.duration_seconds", "message": "This model takes one of [5]"},
    {"path": "settings.resolution", "message": "This model takes one of [\"1080p\"]"},
    {"path": "image_url", "message": "This model takes no image"}
  ]'::jsonb, 'all that does not fit is named at once'
);
select is(
  videos.unfitting(pg_temp.model('1'), '{"duration_seconds": null}', null) #>> '{0,path}', 'settings.duration_seconds',
  'a null is no value of a model''s'
);
select is(
  videos.unfitting(pg_temp.model('3'), '{}', null) #>> '{0,path}', 'image_url',
  'an image is missed where one is needed'
);

select * from finish();
rollback;
