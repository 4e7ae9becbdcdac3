insert into ops.feature_flags (name) values ('generation');

insert into guard.policies (name, scope, max_hits, window_seconds, on_failure, is_logged) values
  ('video_generation', 'user', 10, 3600, 'closed', true),
  ('generation_attempts', 'user', 60, 60, 'open', false),
  ('generation_attempts_network', 'network', 300, 3600, 'open', false),
  ('device_check', 'user', 10, 3600, 'open', false),
  ('device_check_network', 'network', 60, 3600, 'open', false),
  ('device_grants', 'network', 5, 86400, 'closed', true),
  ('reads', 'user', 120, 60, 'open', false),
  ('writes', 'user', 60, 60, 'open', false),
  ('admin', 'user', 60, 60, 'open', false);

-- Under fixed ids, which credits.system_account knows: that saves a look-up in every posting.
insert into credits.accounts (id, kind, owner_kind) overriding system value
values
  (1, 'grants', 'system'), (2, 'purchases', 'system'), (3, 'escrow', 'system'), (4, 'revenue', 'system'),
  (5, 'breakage', 'system'), (6, 'forfeited', 'system');

insert into core.scheduled_tasks (name, procedure, every)
values ('expire_credits', 'credits.expire_due', interval '1 minute');

insert into videos.job_transitions (from_status, to_status, reason) values
  ('pending', 'processing', 'a submission was claimed'),
  ('processing', 'pending', 'the provider proved that it did not take it'),
  ('pending', 'failed', 'refused, or no provider took it in time'),
  ('pending', 'cancelled', 'cancelled before a provider had it'),
  ('processing', 'completed', 'the video is stored'),
  ('processing', 'failed', 'the provider, the deadline or the storage failed'),
  ('processing', 'cancelled', 'the provider confirmed the cancellation, or the account was closed');

insert into queue.kinds
  (kind, concurrency, tries, backoff, base_seconds, max_seconds, lease_seconds, timeout_seconds, priority, on_dead)
values
  -- A submission's own timeout is 30 s; storing may stream a large file, up to the platform's 150 s.
  ('cancel', 10, 5, 'exponential', 2, 60, 15, 60, 1, null),
  ('store', 4, 8, 'exponential', 2, 120, 15, 180, 2, 'videos.fail_unstored_job'),
  ('submit', 10, null, 'exponential', 2, 60, 15, 60, 3, null),
  ('delete_files', 4, 10, 'exponential', 5, 3600, 15, 60, 5, null),
  ('erase_account', 2, 10, 'exponential', 5, 3600, 15, 60, 6, null),
  ('poll', 10, null, 'exponential', 3, 60, 15, 60, 4, null);

insert into storage.buckets (id, name, public) values ('videos', 'videos', false)
on conflict (id) do update set public = false;

insert into core.scheduled_tasks (name, procedure, every)
values ('bury_lost_tasks', 'queue.bury_lost', interval '5 seconds');

insert into core.scheduled_tasks (name, procedure, every)
values ('enforce_deadlines', 'videos.enforce_deadlines', interval '5 seconds');

insert into videos.providers (name) values ('fal'), ('replicate'), ('runway');

insert into ops.retention_rules (name, what, keep, batch, every, relation, time_column, condition) values
  ('idempotency_keys', 'Outcomes kept for replay, from the end of the 24 hours that the API promises', '0', 10000, '1 minute',
    'guard.idempotency_keys', 'expires_at', null),
  ('device_lanes', 'Networks of device checks, from the end of the check', '1 hour', 10000, '1 hour',
    'devices.lanes', 'leased_until', null),
  ('provider_events', 'Webhooks of providers, from their arrival, once their job has ended', '30 days', 10000, '10 minutes',
    'videos.provider_events', 'received_at',
    'exists (select from videos.submissions as s join videos.jobs as j on j.id = s.job_id
       where s.id = t.submission_id and j.completed_at is not null)'),
  ('error_log', 'Recorded errors, from their minute', '30 days', 10000, '10 minutes', 'ops.error_log', 'minute', null),
  -- The next proof begins at that one.
  ('proofs', 'Results of proving the ledger, from the proof; the last one that found nothing stays', '90 days', 10000, '1 day',
    'credits.proofs', 'proved_until',
    't.id <> (select coalesce(max(l.id), 0) from credits.proofs as l where l.violations = 0)'),
  -- pg_cron writes a row every 5 seconds.
  ('cron_runs', 'What pg_cron notes of its runs, from their end', '3 days', 10000, '1 hour',
    'cron.job_run_details', 'end_time', null);

-- What is more than to delete rows by a time of theirs.
insert into ops.retention_rules (name, what, keep, batch, every, procedure) values
  ('rate_limit_hits', 'Rate-limit counters, from when they count nothing any more', '0', 10000, '10 minutes', 'guard.sweep_hits'),
  ('deleted_jobs', 'What a deleted job said, and the record of its files, from the deletion', '30 days', 1000, '10 minutes',
    'videos.sweep_deleted_jobs'),
  ('closed_accounts', 'The bare jobs of a closed account, from its erasure', '90 days', 100, '10 minutes',
    'videos.sweep_closed_accounts');

insert into core.scheduled_tasks (name, procedure, every) values ('sweep', 'ops.sweep', interval '1 minute');

-- It compares every account with its checkpoint.
insert into core.scheduled_tasks (name, procedure, every)
values ('prove_ledger', 'ops.prove_ledger', interval '1 hour');

-- Counted in credits and not in calls, so it is ops.take_credits that asks it. It always fails closed.
insert into guard.policies (name, scope, max_hits, window_seconds, counts, on_failure, is_logged)
values ('admin_credits', 'user', 10000, 86400, 'credits', 'closed', true);
