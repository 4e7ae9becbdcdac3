-- Made from the catalogue in supabase/functions/_shared/ops/metric-catalogue.ts, the folders of supabase/functions, the
-- registry of errors and supabase/schemas/api by `deno task generate`.

-- What an isolate counts: its name, what it is, the values that each label may have (a list, or the name of one in
-- ops.metric_sets), and the bounds of its buckets, null where it has none.
create type ops.metric_type as (name text, help text, labels jsonb, bounds double precision[]);

-- Every metric that an isolate counts.
create function ops.metric_types()
returns ops.metric_type[]
language sql
immutable
return array[
  row('requests', 'Requests that were answered', '{"endpoint":"@endpoints","status":"@statuses","code":"@codes"}', null)::ops.metric_type,
  row('request_seconds', 'Time from a request to its answer', '{"endpoint":"@endpoints"}', '{0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10,30}')::ops.metric_type,
  row('limit_refusals', 'Requests that a rate limit refused', '{"policy":"@policies"}', null)::ops.metric_type,
  row('data_api_calls', 'Calls of the stored procedures through the Data API', '{"procedure":"@procedures","outcome":["ok","refused","busy","failed","unanswered"]}', null)::ops.metric_type,
  row('data_api_seconds', 'Time of a call of a stored procedure', '{"procedure":"@procedures"}', '{0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10,30}')::ops.metric_type,
  row('provider_calls', 'Exchanges with services outside, each try by itself', '{"provider":["fal","replicate","runway","openai","apple_device_check","apple_id","app_store"],"operation":["submit","poll","cancel","judge","ask","webhook_keys"],"outcome":["ok","refused","busy","failed","unanswered"]}', null)::ops.metric_type,
  row('provider_seconds', 'Time of an exchange with a service outside', '{"provider":["fal","replicate","runway","openai","apple_device_check","apple_id","app_store"],"operation":["submit","poll","cancel","judge","ask","webhook_keys"]}', '{0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10,30}')::ops.metric_type,
  row('retries', 'Exchanges that were repeated because the one before did not help', '{"service":["data_api","fal","replicate","runway","openai","apple_device_check","apple_id","app_store"]}', null)::ops.metric_type,
  row('cold_starts', 'Isolates that answered their first request', '{"endpoint":"@endpoints"}', null)::ops.metric_type,
  row('memory_bytes', 'Memory of an isolate, whenever it told its counts', '{"endpoint":"@endpoints"}', '{33554432,67108864,100663296,134217728,167772160,201326592,234881024,268435456}')::ops.metric_type
];

-- The closed sets that several labels share.
create function ops.metric_sets()
returns jsonb
language sql
immutable
return '{
  "@endpoints": [
    "admin-adjust-credits", "admin-alerts", "admin-errors", "admin-flags", "admin-limits", "admin-models",
    "admin-products", "admin-queue", "admin-refund-credits", "admin-reports", "admin-stats", "admin-users",
    "admin-webhook-deliveries", "admin-webhooks", "app-store-notifications", "appeals",
    "apple-identity-notifications", "cancel-video", "credits", "delete-video-job", "device-check", "flags",
    "generate-video", "generate-videos", "health", "merge-guest", "metrics", "models", "notifications",
    "process-jobs", "products", "projects", "provider-webhook", "purchases", "push-tokens", "recover-guest",
    "reports", "sessions", "takedown-notices", "uploads", "user-export", "user-profile", "video-jobs", "video-status"
  ],
  "@statuses": [
    "200", "201", "202", "204", "304", "400", "401", "402", "403", "404", "405", "409", "410", "413", "415", "422",
    "429", "500", "502", "503", "504"
  ],
  "@codes": [
    "none", "ERR_4001", "ERR_4002", "ERR_4003", "ERR_4004", "ERR_4005", "ERR_4006", "ERR_4007", "ERR_4008",
    "ERR_4009", "ERR_4010", "ERR_4011", "ERR_4012", "ERR_4013", "ERR_4014", "ERR_4015", "ERR_4016", "ERR_4017",
    "ERR_4018", "ERR_4019", "ERR_4020", "ERR_4021", "ERR_4022", "ERR_5001", "ERR_5002", "ERR_5003", "ERR_6001",
    "ERR_6002", "ERR_6003", "ERR_6004"
  ],
  "@procedures": [
    "admin_adjust_credits", "admin_errors", "admin_refund_credits", "admin_stats", "app_store_notifications",
    "appeals", "apple_identity_notifications", "begin_device_check", "cancel_video", "claim_submission",
    "claim_tasks", "credits", "delete_admin_webhooks", "delete_projects", "delete_push_tokens", "delete_sessions",
    "delete_uploads", "delete_user_profile", "delete_video_job", "deliver_inbox", "enter_device_lane",
    "erase_account", "finish_apple_revocation", "finish_consumption", "finish_export", "finish_export_deletion",
    "finish_notification_history", "finish_push", "finish_webhook_delivery", "flags", "generate_video",
    "generate_videos", "get_admin_alerts", "get_admin_flags", "get_admin_limits", "get_admin_models",
    "get_admin_products", "get_admin_queue", "get_admin_reports", "get_admin_users", "get_admin_webhook_deliveries",
    "get_admin_webhooks", "get_notifications", "get_projects", "get_purchases", "get_sessions", "get_uploads",
    "get_user_profile", "grant_device_credits", "health", "keep_apple_token", "keep_signed_urls", "leave_device_lane",
    "load_consumption", "load_erasure", "load_export", "load_export_page", "load_notification_history", "load_upload",
    "load_upload_files", "merge_guest", "metrics", "models", "patch_admin_alerts", "patch_admin_flags",
    "patch_admin_limits", "patch_admin_models", "patch_admin_products", "patch_admin_reports", "patch_admin_webhooks",
    "patch_notifications", "patch_projects", "patch_uploads", "patch_user_profile", "post_admin_products",
    "post_admin_queue", "post_admin_users", "post_admin_webhook_deliveries", "post_admin_webhooks", "post_projects",
    "post_purchases", "post_push_tokens", "post_uploads", "products", "provider_webhook", "record_cancel",
    "record_device_intent", "record_error", "record_files_deleted", "record_fingerprint", "record_image",
    "record_metrics", "record_notification_history", "record_poll", "record_provider_accounts", "record_stored",
    "record_submission", "record_unusable_result", "record_upload_tidied", "recover_guest", "renew_tasks", "reports",
    "retry_task", "takedown_notices", "user_export", "video_jobs", "video_status"
  ],
  "@policies": [
    "video_generation", "uncaptured_jobs", "generation_attempts", "generation_attempts_network", "device_check",
    "device_check_network", "device_grants", "device_grants_global", "signed_urls", "reads", "writes", "exports",
    "takedown_notices", "takedown_notices_network", "replays", "admin", "admin_credits", "purchases",
    "sandbox_credits", "sandbox_credits_global", "unauthenticated"
  ]
}'::jsonb;
