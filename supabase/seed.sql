-- What a fresh project needs to be useful: four models, with the ids, options and prices that fal states, the terms of a
-- first policy, and three packs of credits.
-- 1 credit stands for about $0.10 of the provider's price, rounded up.

insert into videos.models (
  id, name, description, category, is_featured, requires_image, pricing_type, credits, options, position
) values
  (
    '0190a000-0000-7000-8000-000000000001', 'Kling 2.5 Turbo Pro',
    'Cinematic motion from a text, five seconds at a time.',
    'text_to_video', true, false,
    -- $0.35 for 5 s. Its 10 s cost $0.70, which neither pricing type can say; so they are not sold.
    'per_video', 4,
    '{
      "duration_seconds": { "values": [5], "default": 5 },
      "resolution": { "values": ["1080p"], "default": "1080p" },
      "aspect_ratio": { "values": ["16:9", "9:16", "1:1"], "default": "16:9" }
    }', 1
  ),
  (
    '0190a000-0000-7000-8000-000000000002', 'Veo 3 Fast',
    'Fast and detailed videos from a text, with or without sound.',
    'text_to_video', false, false,
    -- $0.10 a second without audio.
    'per_second', 1,
    '{
      "duration_seconds": { "values": [4, 6, 8], "default": 4 },
      "resolution": { "values": ["720p", "1080p"], "default": "720p" },
      "aspect_ratio": { "values": ["16:9", "9:16"], "default": "16:9" }
    }', 2
  ),
  (
    '0190a000-0000-7000-8000-000000000003', 'Sora 2',
    'Brings a picture to life.',
    'image_to_video', false, true,
    -- $0.10 a second.
    'per_second', 1,
    '{
      "duration_seconds": { "values": [4, 8, 12], "default": 4 },
      "resolution": { "values": ["720p"], "default": "720p" },
      "aspect_ratio": { "values": ["16:9", "9:16"], "default": "16:9" }
    }', 3
  ),
  (
    '0190a000-0000-7000-8000-000000000004', 'Krea Wan 14B',
    'Makes a video of yours again, in another style.',
    'video_to_video', false, false,
    -- $0.025 a second of what it makes, which is as long as its source: 12 s at most of what is sold here.
    'per_video', 3,
    '{
      "duration_seconds": { "values": [5], "default": 5 },
      "resolution": { "values": ["480p"], "default": "480p" },
      "aspect_ratio": { "values": ["auto"], "default": "auto" }
    }', 4
  )
on conflict (id) do nothing;

-- It is as long and as large as its source.
update videos.models set unpromised = '{duration_seconds,resolution}'
where id = '0190a000-0000-7000-8000-000000000004';

-- What they take beside prompt and size, by the fields below.
update videos.models as m
set inputs = i.inputs::jsonb
from (values
  ('0190a000-0000-7000-8000-000000000001', '[{ "name": "negative_prompt", "type": "text", "max": 500 }]'),
  (
    '0190a000-0000-7000-8000-000000000002',
    -- $0.15 a second with sound.
    '[
      { "name": "audio", "type": "boolean", "default": false, "price_factor": 1.5 },
      { "name": "negative_prompt", "type": "text", "max": 500 },
      { "name": "seed", "type": "integer", "min": 0, "max": 2147483647 }
    ]'
  ),
  (
    '0190a000-0000-7000-8000-000000000004',
    '[
      { "name": "strength", "type": "number", "min": 0.01, "max": 1, "default": 0.85 },
      { "name": "seed", "type": "integer", "min": 0, "max": 2147483647 }
    ]'
  )
) as i (id, inputs)
where m.id = i.id::uuid and m.inputs = '[]';

insert into videos.model_providers (model_id, preference, provider, provider_model, cost_cents, inputs) values
  (
    '0190a000-0000-7000-8000-000000000001', 1, 'fal', 'fal-ai/kling-video/v2.5-turbo/pro/text-to-video', 35,
    '{ "negative_prompt": { "field": "negative_prompt" } }'
  ),
  (
    '0190a000-0000-7000-8000-000000000002', 1, 'fal', 'fal-ai/veo3/fast', 10,
    '{
      "audio": { "field": "generate_audio", "cost_factor": 1.5 },
      "negative_prompt": { "field": "negative_prompt" },
      "seed": { "field": "seed" }
    }'
  ),
  ('0190a000-0000-7000-8000-000000000003', 1, 'fal', 'fal-ai/sora-2/image-to-video', 10, '{}'),
  (
    '0190a000-0000-7000-8000-000000000004', 1, 'fal', 'fal-ai/krea-wan-14b/video-to-video', 30,
    '{ "strength": { "field": "strength" }, "seed": { "field": "seed" } }'
  )
on conflict (model_id, preference) do nothing;

-- Sexual content with minors, in words that leave little doubt together. The operator adds what their app must not show.
insert into videos.moderation_terms (language, pattern, reason) values
  ('all', 'lolicon*|shotacon*|pedofil*|pedophil*|paedophil*', 'sexual content with minors'),
  (
    'en',
    'child|children|kid|kids|minor|minors|underage|preteen*|toddler*|schoolgirl*|schoolboy* '
      'naked|nude|nudes|nudity|topless|undress*|sex|sexual*|sexy|porn*|erotic*',
    'sexual content with minors'
  ),
  (
    'tr',
    'çocuk*|çocuğ*|bebek*|bebeğ*|ergen*|liseli* çıplak*|seks*|cinsel*|porno*|erotik*|soyun*',
    'sexual content with minors'
  ),
  (
    'es',
    'niño|niña|niños|niñas|menor|menores|adolescente*|colegiala* desnud*|sexo|sexual*|sexi|sexy|porno*|erotic*',
    'sexual content with minors'
  )
on conflict (pattern) do nothing;

-- Phrases in which those words mean something else.
insert into videos.moderation_terms (language, pattern, action, reason) values
  ('en', 'naked eye|eyes|mole|truth|flame|flames|singularity', 'allow', 'nobody is naked'),
  ('en', 'minor key|keys|chord|chords|scale|scales|planet|planets|league|leagues|change|changes|detail|details', 'allow', 'small'),
  ('en', 'asia|ursa|canis minor', 'allow', 'names'),
  ('tr', 'çıplak göz*', 'allow', 'the naked eye'),
  ('tr', 'çıplak ayak*|ayağ*', 'allow', 'barefoot'),
  ('tr', 'çıplak elle|elleri*', 'allow', 'with bare hands'),
  ('tr', 'çıplak ağaç*|dal|dallar*|tepe*|kaya*', 'allow', 'bare trees and hills'),
  ('tr', 'soyunma oda*', 'allow', 'changing rooms'),
  ('tr', 'ergenekon*', 'allow', 'a name'),
  ('es', 'ojo|ojos desnudo|desnudos', 'allow', 'the naked eye'),
  ('es', 'pie|pies desnudo|desnudos', 'allow', 'barefoot'),
  ('es', 'mano|manos desnuda|desnudas', 'allow', 'with bare hands'),
  ('es', 'verdad|pared|paredes|rama|ramas|roca|rocas|montaña|montañas desnuda|desnudas', 'allow', 'nobody is naked'),
  ('es', 'árbol|árboles desnudo|desnudos', 'allow', 'bare trees'),
  ('es', 'asia|osa|tono|modo|tamaño menor', 'allow', 'small, and names')
on conflict (pattern) do nothing;

-- What the app sells, as App Store Connect must have it: 10 credits are two videos of the cheapest model. The three together are
-- what one user may buy in the sandbox in a day, so that App Review can buy each.
insert into purchases.products (
  product_id, kind, name, description, credits, trial_credits, is_featured, position
)
values
  ('credits_10', 'consumable', '10 credits', 'Two videos of Kling 2.5 Turbo Pro.', 10, 0, false, 1),
  ('credits_30', 'consumable', '30 credits', 'Seven videos of Kling 2.5 Turbo Pro.', 30, 0, true, 2),
  ('credits_60', 'consumable', '60 credits', 'Fifteen videos of Kling 2.5 Turbo Pro.', 60, 0, false, 3),
  -- One group, with two levels.
  ('plus_monthly', 'subscription', 'Plus', 'Ten videos of Kling 2.5 Turbo Pro a month.', 40, 8, false, 4),
  ('pro_monthly', 'subscription', 'Pro', 'Twenty-five videos of Kling 2.5 Turbo Pro a month.', 100, 8, false, 5);
