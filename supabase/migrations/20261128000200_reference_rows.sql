-- The rows that Kinora stands on, domain by domain. What the operator may change stays as it is where it is there already;
-- what belongs to the migrations becomes what it says here.

-- core: what the tick does. Those with subjects do one at a time.
insert into core.scheduled_tasks (name, procedure, every, subjects, time_limit, priority) values
  ('wake_worker', 'core.wake_worker', '5 seconds', null, '5 seconds', 0),
  ('enforce_deadlines', 'videos.enforce_deadline', '5 seconds', 'videos.overdue_jobs', '5 seconds', 1),
  ('bury_lost_tasks', 'queue.bury_lost', '5 seconds', 'queue.lost_tasks', '5 seconds', 2),
  ('expire_credits', 'credits.expire_account', '1 minute', 'credits.accounts_to_expire', '5 seconds', 3),
  -- What Apple told is first acted upon; then what waited for the operator.
  ('handle_notifications', 'purchases.handle', '5 seconds', 'purchases.unhandled', '5 seconds', 3),
  ('credit_purchases', 'purchases.settle_mended', '1 minute', 'purchases.mended', '5 seconds', 3),
  ('alert_purchases', 'purchases.alert_waiting', '10 minutes', null, '5 seconds', 5),
  ('read_notification_history', 'purchases.ask_for_history', '1 hour', null, '5 seconds', 5),
  ('read_provider_accounts', 'videos.ask_for_accounts', '10 minutes', null, '5 seconds', 5),
  -- More often than a rule is due: it is then evaluated each minute, and not every other.
  ('evaluate_alert_rules', 'ops.evaluate_rule', '10 seconds', 'ops.due_alert_rules', '5 seconds', 4),
  ('watch_alerts', 'ops.watch_alerts', '1 minute', null, '5 seconds', 4),
  ('watch_storage', 'ops.watch_storage', '1 minute', null, '5 seconds', 4),
  -- Often enough that an alert, which is open for an hour, stays open.
  ('watch_notices', 'safety.watch_clock', '10 minutes', null, '5 seconds', 5),
  -- 10,000 deliveries of a webhook in a run.
  ('drop_deliveries', 'webhooks.drop_waiting', '5 seconds', 'webhooks.silent_backlogs', '10 seconds', 4),
  -- A batch of a rule may be large.
  ('sweep', 'ops.sweep', '1 minute', 'ops.due_rules', '30 seconds', 4),
  ('fold_metrics', 'ops.fold_metrics', '10 seconds', null, '5 seconds', 6),
  ('sum_stats', 'ops.sum_stats', '10 minutes', 'ops.unsummed_stats', '5 seconds', 6),
  -- A report is due once a day; one that fails is tried again, less and less often. A month of a large ledger takes a while.
  ('make_reports', 'ops.make_report', '10 minutes', 'ops.due_reports', '5 minutes', 6),
  -- It compares every account with its checkpoint.
  ('prove_ledger', 'ops.prove_ledger', '1 hour', null, '10 minutes', 5)
on conflict (name) do update
  set procedure = excluded.procedure, subjects = excluded.subjects, time_limit = excluded.time_limit,
      priority = excluded.priority;

-- guard: limits.
insert into guard.policies (name, scope, max_hits, window_seconds, on_failure, is_logged) values
  ('video_generation', 'user', 10, 3600, 'closed', true),
  -- What one user may cost without paying: jobs that were accepted and not captured.
  ('uncaptured_jobs', 'user', 30, 86400, 'closed', true),
  ('generation_attempts', 'user', 60, 60, 'open', false),
  ('generation_attempts_network', 'network', 300, 3600, 'open', false),
  ('device_check', 'user', 10, 3600, 'open', false),
  ('device_check_network', 'network', 60, 3600, 'open', false),
  -- A video's URL lives an hour: 200 renewals a day watch 8 videos around the clock.
  ('signed_urls', 'user', 200, 86400, 'open', false),
  ('reads', 'user', 120, 60, 'open', false),
  ('writes', 'user', 60, 60, 'open', false),
  ('purchases', 'user', 30, 60, 'open', false),
  ('replays', 'user', 120, 60, 'open', false),
  -- A file of all that there is: some seconds of a worker.
  ('exports', 'user', 1, 86400, 'open', false),
  -- Who objects has one video in mind, or a few; whoever sends more can write to the operator. Broken, it refuses nobody the
  -- right to object.
  ('takedown_notices_network', 'network', 10, 3600, 'open', false),
  ('takedown_notices', 'global', 300, 3600, 'open', false),
  ('admin', 'user', 60, 60, 'open', false)
on conflict (name) do nothing;
-- Counted from the rows that gave them and not in calls, so it is ops.take_credits, devices.admit_intent and
-- purchases.admit_sandbox that ask these. They always fail closed.
insert into guard.policies (name, scope, max_hits, window_seconds, counts, on_failure, is_logged) values
  ('admin_credits', 'user', 10000, 86400, 'credits', 'closed', true),
  -- What is bought in the sandbox costs nobody money, and a video costs us some: enough for a reviewer who buys each pack
  -- once, and no more than we can bear to lose.
  ('sandbox_credits', 'user', 100, 86400, 'credits', 'closed', true),
  ('sandbox_credits_global', 'global', 500, 86400, 'credits', 'closed', true),
  ('device_grants', 'network', 5, 86400, 'grants', 'closed', true),
  ('device_grants_global', 'global', 500, 3600, 'grants', 'closed', true)
on conflict (name) do nothing;

insert into guard.secrets (name, secret) values
  ('lock_keys', uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
on conflict (name) do nothing;

-- credits: the platform's own accounts, under fixed ids, which credits.system_account knows.
insert into credits.accounts (id, kind, owner_kind) overriding system value
values
  (1, 'grants', 'system'), (2, 'purchases', 'system'), (3, 'escrow', 'system'), (4, 'revenue', 'system'),
  (5, 'breakage', 'system'), (6, 'forfeited', 'system'), (7, 'sandbox', 'system'), (8, 'merging', 'system')
on conflict (id) do nothing;

-- queue: the kinds of task, and what their domains do when one dies.
insert into queue.kinds
  (kind, concurrency, tries, backoff, base_seconds, max_seconds, lease_seconds, timeout_seconds, priority, on_dead, claim_limit, facts)
values
  -- A submission's own timeout is 30 s; storing may stream a large file, up to the platform's 150 s,
  -- and one at a time for each worker, since it takes CPU time.
  ('cancel', 10, 5, 'exponential', 2, 60, 15, 60, 1, null, null, 'videos.task_facts'),
  ('store', 4, 8, 'exponential', 2, 120, 15, 180, 2, 'videos.fail_unstored_job', 1, 'videos.task_facts'),
  ('submit', 10, null, 'exponential', 2, 60, 15, 60, 3, null, null, null),
  -- Reads a file as large as `store` does, and hashes it: as much CPU, and so one at a time as well.
  ('fingerprint', 4, 8, 'exponential', 2, 120, 15, 180, 2, 'videos.give_up_fingerprint', 1, 'videos.task_facts'),
  ('delete_files', 4, 10, 'exponential', 5, 3600, 15, 60, 5, 'ops.give_up_cleanup', null, 'videos.deletion_facts'),
  ('erase_account', 2, 10, 'exponential', 5, 3600, 15, 60, 6, 'ops.give_up_cleanup', null, null),
  ('poll', 10, null, 'exponential', 3, 60, 15, 60, 4, null, null, 'videos.task_facts'),
  ('tidy_upload', 4, 10, 'exponential', 5, 3600, 15, 60, 5, 'ops.give_up_cleanup', null, null),
  -- Until its 12 hours are over; Apple's API may be away for half of them.
  ('answer_consumption', 4, null, 'exponential', 10, 900, 15, 60, 5, null, null, null),
  ('read_notification_history', 1, 5, 'exponential', 30, 900, 15, 120, 7, null, null, null),
  -- Some hundred pages of 500 rows for the largest accounts: half a minute.
  ('export_account', 2, 10, 'exponential', 5, 900, 15, 120, 6, 'accounts.fail_export', null, null),
  ('delete_export', 4, 10, 'exponential', 5, 3600, 15, 60, 6, 'ops.give_up_cleanup', null, null),
  -- The code is good for 5 minutes, so it goes soon. With an hour between them at most, 100 tries are three days.
  ('revoke_apple_sign_in', 4, 100, 'exponential', 5, 3600, 15, 60, 4, 'accounts.give_up_revocation', null, null),
  -- The database alone: what fails is a fault of ours, and ten tries are some two hours to mend it.
  ('deliver_inbox', 10, 10, 'exponential', 5, 3600, 15, 60, 5, 'notify.give_up_delivery', null, null),
  -- With a quarter of an hour between them at most, 100 tries are some 19 hours; a push is worth a day.
  ('deliver_push', 20, 100, 'exponential', 5, 900, 15, 60, 5, 'notify.give_up_delivery', null, 'notify.push_facts'),
  -- The next one comes in ten minutes.
  ('read_provider_accounts', 1, 3, 'exponential', 10, 60, 15, 60, 7, 'videos.give_up_accounts', null, null)
on conflict (kind) do update set on_dead = excluded.on_dead, facts = excluded.facts;
-- Those with lanes. Two at once for a server, and for all 20 that there can be: none waits for another. An attempt takes
-- 10 s at most; when the next is, webhooks.retry_delay says, and ten of them are the schedule of Standard Webhooks.
insert into queue.kinds
  (kind, concurrency, lane_concurrency, tries, backoff, base_seconds, max_seconds, lease_seconds, timeout_seconds, priority, on_dead, facts)
values
  ('deliver_webhook', 40, 2, 10, 'exponential', 5, 3600, 15, 60, 6, 'webhooks.give_up_delivery', 'webhooks.delivery_facts')
on conflict (kind) do update set on_dead = excluded.on_dead, facts = excluded.facts;

-- events: who hears what. The operator may change the subscriptions.
insert into events.channels (channel, kind, procedure) values
  ('inbox', 'deliver_inbox', null), ('realtime', null, 'notify.tell'), ('webhook', 'deliver_webhook', null)
on conflict (channel) do update set kind = excluded.kind, procedure = excluded.procedure;
insert into events.channels (channel, kind, audience) values ('push', 'deliver_push', 'notify.has_devices')
on conflict (channel) do update set kind = excluded.kind, audience = excluded.audience;
insert into events.subscriptions (pattern, channel, priority) values
  ('video.completed', 'inbox', 5), ('video.failed', 'inbox', 5), ('purchase.*', 'inbox', 5), ('account.merged', 'inbox', 5),
  ('video.completed', 'push', 5), ('video.failed', 'push', 5), ('purchase.*', 'push', 5),
  ('video.*', 'realtime', 5), ('credits.*', 'realtime', 5), ('purchase.*', 'realtime', 5), ('account.*', 'realtime', 5)
on conflict (pattern, channel, target) do nothing;

-- videos: the life of a job, who makes videos, and where they are kept.
insert into videos.job_transitions (from_status, to_status, reason) values
  ('pending', 'processing', 'a submission was claimed'),
  ('processing', 'pending', 'the provider proved that it did not take it'),
  ('pending', 'failed', 'refused, or no provider took it in time'),
  ('pending', 'cancelled', 'cancelled before a provider had it'),
  ('processing', 'completed', 'the video is stored'),
  ('processing', 'failed', 'the provider, the deadline or the storage failed'),
  ('processing', 'cancelled', 'the provider confirmed the cancellation, or the account was closed')
on conflict (from_status, to_status) do update set reason = excluded.reason;
insert into videos.providers (name) values ('fal'), ('replicate'), ('runway') on conflict (name) do nothing;
insert into videos.tolerances (fact, less, more, at_least, one_of, reason) values
  ('duration', 0.1, 0.1, null, null, 'models end on a whole frame: 5 s come as 5.04, 81 frames of 16 a second as 5.06'),
  ('aspect_ratio', 0.05, 0.05, null, null, 'sides are multiples of 8 or 16: 1920x1088 and 1280x704 are 16:9 to a provider'),
  ('resolution', 0.05, null, null, null, '704 lines are sold as 720p; more than was ordered is no fault'),
  ('codec', null, null, null, '{avc1,avc3,hvc1}', 'what iPhones, Android and browsers play in an MP4: H.264 and HEVC'),
  ('frame_rate', null, null, 5, null, 'the slowest models make 6 pictures a second; fewer is a slide show')
on conflict (fact) do nothing;
insert into storage.buckets (id, name, public) values ('videos', 'videos', false)
on conflict (id) do update set public = false;
-- What anybody may write by a URL that binds neither size nor type: Storage holds it to these.
insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types)
values ('uploads', 'uploads', false, 10485760, '{image/jpeg,image/png,image/webp}')
on conflict (id) do update
  set public = false, file_size_limit = excluded.file_size_limit, allowed_mime_types = excluded.allowed_mime_types;
insert into videos.tiers (tier, storage_bytes, pending_uploads) values
  ('guest', 100000000, 3), ('member', 500000000, 3), ('subscriber', 5000000000, 3)
on conflict (tier) do nothing;

-- ops: switches, and how long things are kept.
insert into ops.feature_flags (key, is_switch, version, description) values
  ('generation', true, 1, 'Videos are accepted'),
  ('purchases', true, 1, 'What was bought is credited'),
  ('sandbox_purchases', true, 1, 'What the store''s sandbox sold is credited, too'),
  ('grants', true, 1, 'Devices are granted their first credits')
on conflict (key) do nothing;
-- Asked of users where the operator turns it on, for their apps must know it.
insert into ops.feature_flags (key, is_switch, is_enabled, version, description) values
  ('processing_consent', true, false, 1, 'Users are asked for consent before their prompts are processed')
on conflict (key) do nothing;
insert into ops.retention_rules (name, what, keep, batch, every, relation, time_column, condition) values
  ('idempotency_keys', 'Outcomes kept for replay, from the end of the 24 hours that the API promises', '0', 10000, '1 minute',
    'guard.idempotency_keys', 'expires_at', null),
  ('device_lanes', 'Networks of device checks, from the end of the check', '1 hour', 10000, '1 hour',
    'devices.lanes', 'leased_until', null),
  -- The limits count grants, and so does an alert: whichever counts them longest, and a day in any case, which is what the
  -- operator looks at.
  ('device_intents', 'Networks of device checks that meant to grant, from when they count nothing any more; of grants for a day at least',
    '0', 10000, '10 minutes', 'devices.intents', 'good_until',
    't.granted_at is null or t.granted_at <= core.now() - greatest(
       interval ''1 day'',
       (select max(p.window_length) from guard.policies as p where p.counts = ''grants''),
       (select max(r.measured_over) from ops.alert_rules as r where r.metric = ''grants''))'),
  ('provider_events', 'Webhooks of providers, from their arrival, once their job has ended', '30 days', 10000, '10 minutes',
    'videos.provider_events', 'received_at',
    'exists (select from videos.submissions as s join videos.jobs as j on j.id = s.job_id
       where s.id = t.submission_id and j.completed_at is not null and not safety.is_held(j.user_id))'),
  -- As long as Apple's own history goes back: what comes again is known again.
  ('store_notifications', 'Notifications of the App Store, from their arrival, once they were acted upon', '180 days', 10000,
    '1 day', 'purchases.notifications', 'received_at', 't.handled_at is not null'),
  -- Longer than Apple''s word is believed: until then it is known again. What is about an account is kept with it.
  ('identity_notifications', 'What Apple told of identities that nobody here has, from its arrival', '30 days', 10000, '1 day',
    'accounts.identity_notifications', 'received_at', 't.user_id is null'),
  -- What strangers and users said about a video may be asked for in court; a year is what most claims take to come.
  ('reports', 'What users reported, from the report, once the case is decided', '1 year', 10000, '1 day',
    'safety.reports', 'created_at', 'exists (
       select from safety.cases as c where c.id = t.case_id and c.status in (''kept'', ''removed'', ''restored'')
         and not exists (select from videos.jobs as j where j.id = c.job_id and safety.is_held(j.user_id)))'),
  ('takedown_notices', 'Notices of strangers, from their arrival, once the case is decided', '1 year', 10000, '1 day',
    'safety.notices', 'received_at', 'exists (
       select from safety.cases as c where c.id = t.case_id and c.status in (''kept'', ''removed'', ''restored'')
         and not exists (select from videos.jobs as j where j.id = c.job_id and safety.is_held(j.user_id)))'),
  -- As long as the job is there, its user is told why its video is not.
  ('safety_cases', 'What was decided about a video, from the decision, once its job is gone', '1 year', 10000, '1 day',
    'safety.cases', 'decided_at', 'not exists (select from videos.jobs as j where j.id = t.job_id)'),
  ('notifications', 'What stands in an inbox, from its delivery, read or not', '90 days', 10000, '10 minutes',
    'notify.notifications', 'created_at', null),
  ('webhook_secrets', 'Secrets of webhooks that were replaced, from the end of the 24 hours in which both sign', '0', 1000,
    '1 hour', 'webhooks.secrets', 'expires_at', null),
  ('error_log', 'Recorded errors, from their minute', '30 days', 10000, '10 minutes', 'ops.error_log', 'minute', null),
  ('exposures', 'Who was given which variant of an experiment, from the first time', '1 year', 10000, '1 day',
    'ops.exposures', 'exposed_at', null),
  ('alerts', 'Alerts that are over, with their changes, from when they were met last', '90 days', 10000, '1 day', 'ops.alerts', 'last_at',
    't.resolved_at is not null'),
  ('incidents', 'What was away, from when it was back', '1 year', 10000, '1 day', 'ops.incidents', 'ended_at', null),
  ('provider_bills', 'Bills of providers, from when they were told last', '1 year', 10000, '1 day', 'videos.provider_bills',
    'asked_at', null),
  ('metric_minutes', 'What the functions counted, by minute', '2 days', 10000, '1 hour',
    'ops.metric_points', 'at', 't.step = ''minute'''),
  ('metric_hours', 'What the functions counted, by hour', '90 days', 10000, '1 day',
    'ops.metric_points', 'at', 't.step = ''hour'''),
  ('metric_days', 'What the functions counted, by day', '2 years', 10000, '1 day', 'ops.metric_points', 'at', 't.step = ''day'''),
  -- A month of 30 days begins up to six hours before.
  ('stat_sums', 'What each six hours came to, from their beginning', '31 days', 10000, '1 day', 'ops.stat_sums', 'at', null),
  -- So that a month may be compared with that of the year before.
  ('operator_reports', 'Daily, weekly and monthly reports, from when they were made', '730 days', 10000, '1 day',
    'ops.reports', 'made_at', null),
  ('swept', 'How much each rule took away, from that day', '1 year', 10000, '1 day', 'ops.swept', 'day', null),
  -- The next proof begins at that one.
  ('proofs', 'Results of proving the ledger, from the proof; the last one that found nothing stays', '90 days', 10000, '1 day',
    'credits.proofs', 'proved_until',
    't.id <> (select coalesce(max(l.id), 0) from credits.proofs as l where l.violations = 0)'),
  ('lanes', 'Which bounded lanes of the queue were full, from when they were last', '1 day', 10000, '1 hour',
    'queue.lanes', 'full_at', null),
  ('set_aside', 'What a scheduled task could not do, from when it would be tried again', '30 days', 10000, '1 day',
    'core.set_aside', 'until', null),
  -- pg_cron writes a row every 5 seconds, for each clock.
  ('cron_runs', 'What pg_cron notes of its runs, from their end', '3 days', 10000, '1 hour',
    'cron.job_run_details', 'end_time', null)
on conflict (name) do update
  set what = excluded.what, relation = excluded.relation, time_column = excluded.time_column, condition = excluded.condition;
-- What is more than to delete rows by a time of theirs.
insert into ops.retention_rules (name, what, keep, batch, every, procedure) values
  -- How long each type is kept stands in its declaration; this is what is added to it.
  ('events', 'Events with their deliveries and the dead letters of these, from the end of what their type says, once all are told', '0', 10000,
    '10 minutes', 'events.sweep'),
  ('rate_limit_hits', 'Rate-limit counters, from when they count nothing any more', '0', 10000, '10 minutes', 'guard.sweep_hits'),
  ('deleted_jobs', 'What a deleted job said, and the record of its files, from the deletion', '30 days', 1000, '10 minutes',
    'videos.sweep_deleted_jobs'),
  ('exports', 'Files of what is kept of a person, from when they expire, 7 days after they were made', '0', 1000, '10 minutes',
    'accounts.sweep_exports'),
  ('closed_accounts', 'The bare jobs of a closed account, from its erasure', '90 days', 100, '10 minutes',
    'accounts.sweep_closed')
on conflict (name) do update
  set what = excluded.what, procedure = excluded.procedure, relation = null, time_column = null, condition = null;

-- What a stranger can cause must not switch off what others use: all of them tell, and one that no stranger can cause does
-- more. A provider whose failures shut it off is the breaker's affair. Sizes are of the platform's plans Pro: 8 and 100 GB.
insert into ops.alert_rules
  (name, what, metric, measured_over, is_low_bad, warning, critical, ok_for, cooldown, action, flags, every)
values
  ('error_rate', 'Answers that are a fault of ours or of a provider''s, in percent of all', 'error_percent', '5 minutes', false, 5, 10, '5 minutes', '5 minutes', 'notify', '{}', '1 minute'),
  ('response_time', 'Seconds that the slowest twentieth of the requests take', 'response_seconds', '1 minute', false, 2, 5, '5 minutes', '5 minutes', 'notify', '{}', '1 minute'),
  ('queue_age', 'Seconds that a task waits for a worker', 'queue_seconds', '1 minute', false, 60, 300, '2 minutes', '5 minutes', 'notify', '{}', '1 minute'),
  ('overdue_jobs', 'Jobs that have not ended though their bound is over', 'overdue_jobs', '1 minute', false, 1, 10, '2 minutes', '5 minutes', 'notify', '{}', '1 minute'),
  ('provider_failures', 'Failures of a provider in a row', 'provider_failures', '1 minute', false, 3, 5, '2 minutes', '5 minutes', 'notify', '{}', '1 minute'),
  ('spending', 'Money spent at a provider today, in percent of its cap; all of it where what is left pays for no video', 'spending_percent', '1 day', false, 80, 100, '5 minutes', '5 minutes', 'notify', '{}', '1 minute'),
  ('grants', 'Grants to devices within a day', 'grants', '1 day', false, 1000, 5000, '5 minutes', '1 hour', 'notify', '{}', '1 minute'),
  ('credits_given', 'Credits that admins gave within a day', 'credits_given', '1 day', false, 5000, 20000, '5 minutes', '1 hour', 'notify', '{}', '1 minute'),
  ('ledger_violations', 'Violations that the last proof of the ledger found', 'ledger_violations', '1 day', false, null, 1, '1 hour', '0', 'shutdown', '{purchases,grants}', '1 minute'),
  ('dead_letters', 'Tasks that have used their tries within a day, of a kind', 'dead_letters', '1 day', false, 1, 20, '5 minutes', '5 minutes', 'notify', '{}', '1 minute'),
  ('webhook_failures', 'Deliveries that have used their tries within an hour, of a channel', 'dead_deliveries', '1 hour', false, 1, 20, '5 minutes', '5 minutes', 'notify', '{}', '1 minute'),
  ('database_size', 'Bytes of the database', 'database_bytes', '1 minute', false, 6400000000, 7600000000, '1 hour', '1 hour', 'notify', '{}', '1 hour'),
  ('storage_size', 'Bytes of all files', 'storage_bytes', '1 minute', false, 80000000000, 95000000000, '1 hour', '1 hour', 'notify', '{}', '1 hour'),
  ('connections', 'Connections of the server, in percent of what it takes', 'connections_percent', '1 minute', false, 80, 95, '5 minutes', '5 minutes', 'notify', '{}', '1 minute'),
  ('uncredited_purchases', 'Purchases that wait for the operator, by the reason', 'uncredited_purchases', '1 minute', false, 1, 10, '2 minutes', '5 minutes', 'notify', '{}', '1 minute'),
  ('client_addresses', 'Requests that say nothing about their network, by the policy', 'unknown_networks', '5 minutes', false, 10, 100, '10 minutes', '10 minutes', 'notify', '{}', '1 minute'),
  ('provider_balance', 'US cents that are left at a provider', 'provider_balance_cents', '1 minute', true, 2000, 500, '5 minutes', '5 minutes', 'notify', '{}', '1 minute'),
  ('provider_locked', 'A provider has locked our account', 'provider_locked', '1 minute', false, null, 1, '5 minutes', '5 minutes', 'notify', '{}', '1 minute'),
  ('provider_bill', 'By how much a provider''s bill differs from our count, in percent', 'provider_bill_percent', '7 days', false, 5, 20, '5 minutes', '1 hour', 'notify', '{}', '1 hour')
on conflict (name) do update set what = excluded.what, metric = excluded.metric, is_low_bad = excluded.is_low_bad;

-- accounts: which rows are a person's ($1: users' ids), and what becomes of each column that can hold a person's data.
insert into accounts.personal_tables (relation, rows_of) values
  ('accounts.erasures', 't.user_id = any ($1)'),
  ('accounts.exports', 't.user_id = any ($1)'),
  ('accounts.identity_notifications', 't.user_id = any ($1)'),
  ('accounts.merges', 't.guest_id = any ($1) or t.heir_id = any ($1)'),
  ('accounts.users', 't.id = any ($1)'),
  ('credits.accounts', 't.owner_id = any ($1)'),
  ('credits.lots', 't.account_id in (select a.id from credits.accounts as a where a.owner_id = any ($1))'),
  ('credits.postings', 't.owner_id = any ($1)'),
  ('credits.transfers', 't.owner_id = any ($1)'),
  ('devices.app_transactions', 't.user_id = any ($1)'),
  ('devices.grants', 't.user_id = any ($1)'),
  ('devices.intents', 't.user_id = any ($1)'),
  -- Those of networks and endpoints are nobody's.
  ('guard.hits', '(t.is_logged, t.policy, t.subject) in (
    select p.is_logged, p.name, u.id::text from guard.policies as p, unnest($1) as u (id) where p.scope = ''user'')'),
  -- Before the log, by way of which they are found.
  ('events.deliveries', 't.event_id in (select l.id from events.log as l where l.user_id = any ($1))'),
  ('events.log', 't.user_id = any ($1)'),
  ('notify.notifications', 't.user_id = any ($1)'),
  ('notify.push_tokens', 't.user_id = any ($1)'),
  ('guard.idempotency_keys', 't.caller = any ($1)'),
  -- But a legal hold, which its user is not to be told of.
  ('ops.admin_actions', 't.user_id = any ($1) and t.action not in (''hold'', ''lift_hold'')'),
  ('ops.error_log', 't.user_id = any ($1)'),
  ('ops.exposures', 't.user_id = any ($1)'),
  -- What is not handled yet may be a refund; handling it forgets it.
  ('purchases.notifications', 't.handled_at is not null and exists (
    select from purchases.transactions as p
    where p.environment = t.environment and p.transaction_id = t.transaction_id and p.owner_id = any ($1))'),
  ('purchases.subscriptions', 't.owner_id = any ($1)'),
  ('purchases.transactions', 't.owner_id = any ($1)'),
  ('queue.tasks', 't.owner_id = any ($1)'),
  ('safety.cases', 't.job_id in (select videos.jobs_of($1))'),
  ('safety.holds', 't.user_id = any ($1)'),
  ('safety.reports', 't.user_id = any ($1)'),
  ('videos.assets', 't.job_id in (select videos.jobs_of($1))'),
  ('videos.jobs', 't.id in (select videos.jobs_of($1))'),
  ('videos.projects', 't.user_id = any ($1)'),
  ('videos.provider_events', 't.submission_id in (
    select s.id from videos.submissions as s where s.job_id in (select videos.jobs_of($1)))'),
  ('videos.submissions', 't.job_id in (select videos.jobs_of($1))'),
  ('videos.uploads', 't.owner_id = any ($1)')
on conflict (relation) do update set rows_of = excluded.rows_of;
-- Whose rows move with a merge; keys are moved by guard.pass_keys.
update accounts.personal_tables as t set owner_column = o.owner_column
  from (values
  ('accounts.identity_notifications', 'user_id'), ('devices.app_transactions', 'user_id'), ('devices.intents', 'user_id'), ('purchases.subscriptions', 'owner_id'),
  ('events.log', 'user_id'), ('notify.notifications', 'user_id'), ('notify.push_tokens', 'user_id'),
  ('purchases.transactions', 'owner_id'), ('queue.tasks', 'owner_id'), ('videos.assets', 'owner_id'), ('videos.jobs', 'user_id'),
  ('videos.projects', 'user_id'),
  ('videos.provider_events', 'owner_id'), ('videos.submissions', 'owner_id'),
  ('videos.uploads', 'owner_id')
  ) as o (relation, owner_column)
  where o.relation = t.relation;

insert into accounts.privacy_classes (relation, column_name, class, blank_to, on_merge, reason)
  select r.relation, c.name, r.class::accounts.privacy_class, r.blank_to, r.on_merge::accounts.on_merge, r.reason
  from (values
  ('accounts.users', '{id,reference,app_account_token,merged_into}', 'kept', null, 'stays',
    'the tombstone: nobody gets the id again, nor a purchase that names it, and it names nobody'),
  ('accounts.exports', '{id,user_id}', 'erased', null, 'stays', 'when the user asked for what is kept of them'),
  ('accounts.identity_notifications', '{notification_id,type,user_id}', 'kept', null, 'moves',
    'that Apple told it, so that it is not done again; of the person, the tombstone''s id'),
  ('accounts.identity_notifications', '{subject}', 'blanked', null, 'moves', 'who they are at Apple'),
  ('accounts.merges', '{guest_id,heir_id}', 'kept', null, 'stays', 'who became whom, by ids: the ledger says the same'),
  ('accounts.users', '{display_name,language}', 'blanked', null, 'stays', 'what the user told of themselves'),
  ('accounts.users', '{theme_preference}', 'blanked', 'system', 'stays', 'what the user told of themselves'),
  ('accounts.users', '{accepted_processors}', 'blanked', '{}', 'stays', 'whom the user trusted with what they write'),
  ('accounts.erasures', '{user_id,erased}', 'kept', null, 'stays', 'the proof that the rest is gone'),
  ('credits.accounts', '{owner_id,unit,head_hash,merged_into}', 'kept', null, 'stays', 'the ledger: ids, amounts and times'),
  ('credits.lots', '{owner_id}', 'kept', null, 'stays', 'the ledger; the heir gets successors of the lots'),
  ('credits.postings', '{idempotency_key,owner_id,request,outcome}', 'kept', null, 'stays',
    'the ledger: ids, amounts and times, and the operator''s own words in the keys of what was given by hand'),
  ('credits.transfers', '{id,owner_id,job_id,reverses_id,from_hash,to_hash}', 'kept', null, 'stays',
    'the ledger: ids, amounts and times'),
  ('devices.app_transactions', '{user_id}', 'blanked', null, 'moves', 'who came with an Apple Account'),
  ('devices.app_transactions', '{environment,app_transaction_id}', 'kept', null, 'moves',
    'Apple''s number of an account in this app, without a user: whoever comes with it next is noted for it'),
  ('devices.grants', '{user_id}', 'erased', null, 'stays', 'who had a device''s credits'),
  ('devices.intents', '{user_id}', 'blanked', null, 'moves', 'who was where, and when'),
  ('devices.intents', '{lane,network}', 'kept', null, 'moves',
    'a network without a user, which counts in the limits of grants, until the rule device_intents'),
  ('accounts.users', '{notification_preferences}', 'blanked', '{}', 'stays', 'what the user wants to hear of'),
  ('events.deliveries', '{id,event_id,channel,target,reason,answer}', 'erased', null, 'stays', 'whom an event was told; it goes with it'),
  ('events.log', '{id,type,user_id,data,metadata}', 'erased', null, 'moves', 'what happened to the user'),
  ('notify.notifications', '{id,user_id,type,data}', 'erased', null, 'moves', 'what the user was told'),
  ('guard.hits', '{policy,subject}', 'erased', null, 'stays', 'what the user did in the last hours'),
  ('notify.push_tokens', '{token,user_id}', 'erased', null, 'moves', 'which devices are the user''s'),
  ('guard.idempotency_keys', '{caller,endpoint,key,fingerprint,outcome}', 'erased', null, 'moves',
    'what the user asked for; a retry is a replay, whoever they are by then'),
  ('ops.admin_actions', '{id,admin_id,user_id,model_id,subject,transfer_id,job_id,details,reason,request_id}', 'kept', null, 'stays',
    'the operator''s record of what admins did, in their own words'),
  ('ops.error_log', '{code,endpoint,severity,user_id,request_id,context}', 'kept', null, 'stays',
    'redacted when it was written, and gone by the rule error_log'),
  ('ops.exposures', '{flag,user_id,variant}', 'erased', null, 'stays', 'which variants of the app the user was given'),
  ('purchases.notifications', '{notification_id,type,subtype,transaction_id}', 'kept', null, 'moves',
    'ids of ours and Apple''s, until the rule store_notifications'),
  ('purchases.notifications', '{content}', 'blanked', '{}', 'moves', 'Apple''s words about the purchase'),
  ('purchases.notifications', '{answer}', 'blanked', null, 'moves', 'how much of the purchase was used'),
  ('purchases.subscriptions', '{original_transaction_id,owner_id}', 'kept', null, 'moves',
    'ids of Apple''s and the tombstone''s: a period to come, or a refund, finds its account'),
  ('purchases.transactions', '{id,transaction_id,original_transaction_id,product_id,kind,revocation_type,currency,transfer_id}',
    'kept', null, 'moves', 'what was sold, when and for how much: tax law wants it kept, and it names nobody'),
  ('purchases.transactions', '{owner_id}', 'kept', null, 'moves', 'the tombstone''s id, as in the ledger: a refund finds its account'),
  ('purchases.transactions', '{app_account_token,app_transaction_id}', 'blanked', null, 'moves',
    'whose purchase it was at Apple'),
  ('queue.tasks', '{kind,subject,owner_id,lane,payload,request_id,last_error}', 'erased', null, 'moves',
    'nothing of theirs is left to do'),
  ('safety.cases', '{id,job_id}', 'kept', null, 'stays', 'what was decided about a bare job, until the rule safety_cases'),
  ('safety.cases', '{appeal}', 'blanked', null, 'stays', 'what the user said against it'),
  ('safety.holds', '{user_id,profile}', 'erased', null, 'stays', 'what was kept as evidence; nothing is erased before it is lifted'),
  ('safety.reports', '{id,case_id,user_id}', 'kept', null, 'stays',
    'that somebody reported a video, by the tombstone''s id, until the rule reports'),
  ('safety.reports', '{details}', 'blanked', null, 'stays', 'what the user said about it'),
  ('videos.assets', '{job_id,owner_id,path,content_type}', 'erased', null, 'moves',
    'the files are gone'),
  ('videos.jobs', '{project_id}', 'kept', null, 'moves', 'an id of ours, of a project that is erased'),
  ('videos.jobs', '{source_job_id}', 'kept', null, 'moves', 'an id of ours, of a job of the same user''s'),
  ('videos.projects', '{id,user_id,name}', 'erased', null, 'moves', 'how the user sorted their videos'),
  ('videos.jobs', '{id,user_id,model_id,model_name,error_code}', 'kept', null, 'moves',
    'the bare job, until the rule closed_accounts; statistics and the ledger name it'),
  ('videos.jobs', '{prompt,request_id}', 'blanked', '', 'moves', 'what the user wrote, and where it stands in the log'),
  ('videos.jobs', '{settings}', 'blanked', '{}', 'moves', 'what the user chose'),
  ('videos.jobs', '{image_url,image_upload_id,video_url,thumbnail_url,error_details,flag,client_reference}', 'blanked', null, 'moves',
    'what the user gave and got, and what was thought of it'),
  ('videos.provider_events', '{provider,event_id,submission_id,owner_id,request_id,effect}', 'kept', null, 'moves',
    'ids of ours and the provider''s, until the rule provider_events'),
  ('videos.provider_events', '{state}', 'blanked', '{}', 'moves', 'the provider''s words, with the addresses of the files'),
  ('videos.submissions', '{id,job_id,owner_id,provider,provider_model,request_id}', 'kept', null, 'moves',
    'ids of ours and the provider''s, for what was paid'),
  ('videos.submissions', '{provider_references,cause}', 'blanked', null, 'moves', 'the provider''s words'),
  ('videos.uploads', '{id,owner_id,content_type,folder,path,job_id,project_id}', 'erased', null, 'moves', 'the files are gone'),
  -- About nobody.
  ('devices.lanes', '{*}', 'kept', null, 'stays', 'a network without a user, gone by the rule device_lanes'),
  ('credits.checkpoints', '{*}', 'kept', null, 'stays', 'how far the ledger is proved'),
  ('safety.notices', '{*}', 'kept', null, 'stays',
    'what strangers said, and how to reach them: nobody here, gone by the rule takedown_notices'),
  ('safety.removed_files', '{*}', 'kept', null, 'stays', 'fingerprints of files that are gone')
  ) as r (relation, columns, class, blank_to, on_merge, reason)
  cross join unnest(r.columns::text[]) as c (name)
  union all
  select t.relation, '*', 'kept', null, 'stays', 'the operator''s rows, about no person'
  from unnest('{
  accounts.personal_tables, accounts.privacy_classes, core.scheduled_tasks, core.set_aside, events.channels,
  events.subscriptions, guard.policies,
  guard.secrets,
  ops.alert_actions, ops.alert_changes, ops.alert_rules, ops.alerts, ops.feature_flags, ops.incidents, ops.metric_points,
  ops.metric_rows, ops.reports, ops.retention_rules, ops.swept, purchases.products, queue.kinds, queue.lanes, videos.job_transitions,
  videos.model_providers, videos.models, videos.moderation_filters, videos.moderation_terms, videos.moderation_words,
  videos.provider_accounts, videos.provider_bills, videos.providers, videos.spending, videos.tiers, videos.tolerances,
  webhooks.secrets, webhooks.webhooks
  }'::text[]) as t (relation)
on conflict (relation, column_name) do update
  set class = excluded.class, blank_to = excluded.blank_to, on_merge = excluded.on_merge, reason = excluded.reason;
-- What a user's own export is without.
update accounts.privacy_classes as c set withheld = w.reason
  from (values
  ('ops.admin_actions', 'admin_id', 'another person'),
  ('safety.holds', 'user_id', 'the operator''s duty to keep evidence is not told'),
  ('safety.holds', 'profile', 'the operator''s duty to keep evidence is not told'),
  ('ops.error_log', 'context', 'how a fault came about inside, which others'' rows may have part in'),
  ('guard.idempotency_keys', 'fingerprint', 'a hash that tells nothing'),
  ('events.deliveries', 'answer', 'what another server said to the operator'),
  ('queue.tasks', 'payload', 'what the worker needs: addresses and secrets of the platform''s'),
  ('queue.tasks', 'last_error', 'how a fault came about inside'),
  ('videos.jobs', 'video_url', 'whoever has it has the file; video-status gives another'),
  ('videos.jobs', 'thumbnail_url', 'whoever has it has the file; video-status gives another'),
  ('videos.submissions', 'provider_references', 'addresses that our key opens at the provider')
  ) as w (relation, column_name, reason)
  where w.relation = c.relation and w.column_name = c.column_name;
