-- What of a request depends on its model.
begin;
select plan(4);

create function pg_temp.model(p_id text) returns videos.models language sql
as $$ select m from videos.models as m where m.id = ('0190a000-0000-7000-8000-00000000000' || p_id)::uuid $$;

select is(
  videos.resolve_settings(pg_temp.model('1'), '{}', null),
  '{"settings": {"duration_seconds": 5, "resolution": "1080p", "aspect_ratio": "16:9"}, "fields": []}'::jsonb,
  'what is not asked for is the model''s default'
);
select is(
  videos.resolve_settings(pg_temp.model('2'), '{"duration_seconds": 8, "aspect_ratio": "9:16"}', null) -> 'settings',
  '{"duration_seconds": 8, "resolution": "720p", "aspect_ratio": "9:16"}'::jsonb, 'what is asked for is taken'
);
select is(
  videos.resolve_settings(pg_temp.model('1'), '{"duration_seconds": 6, "resolution": "8k"}', 'https://a.example/a.png')
    #> '{fields}',
  '[
    {"path": "settings.duration_seconds", "message": "This model takes one of [5]"},
    {"path": "settings.resolution", "message": "This model takes one of [\"1080p\"]"},
    {"path": "image_url", "message": "This model takes no image"}
  ]'::jsonb, 'all that does not fit is named at once'
);
select is(
  videos.resolve_settings(pg_temp.model('3'), '{}', null) #>> '{fields,0,path}', 'image_url',
  'an image is missed where one is needed'
);

select * from finish();
rollback;
