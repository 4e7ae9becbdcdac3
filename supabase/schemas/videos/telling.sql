-- What there is to tell of a job. By triggers: however it comes about, it is told in the transaction in which it becomes true.

-- Where a job is, for whoever was told so.
create function videos.progress_event(p_job videos.jobs)
returns jsonb
language sql
stable
return jsonb_build_object('job_id', (p_job).id, 'stage', videos.job_stage(p_job), 'percent', (p_job).percent);

-- An ended job as the API shows it, without what the user wrote and what opens its files: of the settings those of the size
-- alone, since a model's own inputs may be texts, as a negative prompt. The error has no message: that has a language.
create function videos.end_event(p_job videos.jobs)
returns jsonb
language sql
stable
return (videos.job_json(p_job) - '{prompt,video_url,video_url_expires_at,thumbnail_url}'::text[])
  || jsonb_build_object('settings', (
    select coalesce(jsonb_object_agg(s.key, s.value), '{}')
    from jsonb_each((p_job).settings) as s
    where s.key in ('duration_seconds', 'resolution', 'aspect_ratio')
  ));

create function videos.tell_job()
returns trigger
language plpgsql
set search_path = ''
as $$
-- Tells that a job has ended, or else that a provider has begun it, or has come a tenth further.
declare
  v_metadata constant jsonb := jsonb_build_object('request_id', new.request_id);
begin
  if new.status >= 'completed' then
    if old.status < 'completed' then
      perform events.publish('video.' || new.status, new.user_id, videos.end_event(new), v_metadata);
    end if;
  elsif old.started_at is null and new.started_at is not null then
    perform events.publish('video.started', new.user_id, videos.progress_event(new), v_metadata);
  elsif new.percent / 10 > coalesce(old.percent, 0) / 10 then
    perform events.publish('video.progressed', new.user_id, videos.progress_event(new), v_metadata);
  end if;
  return null;
end;
$$;

create trigger tell after update of status, started_at, percent on videos.jobs
  for each row when ((old.status, old.started_at, old.percent) is distinct from (new.status, new.started_at, new.percent))
  execute function videos.tell_job();

create function videos.tell_submission()
returns trigger
language plpgsql
set search_path = ''
as $$
-- Tells that a provider took a job, if that has not ended meanwhile.
begin
  perform events.publish(
    'video.submitted', j.user_id, videos.progress_event(j), jsonb_build_object('request_id', j.request_id)
  )
  from videos.jobs as j
  where j.id = new.job_id and j.completed_at is null;
  return null;
end;
$$;

create trigger tell after update of state on videos.submissions
  for each row when (new.state = 'accepted' and old.state <> 'accepted') execute function videos.tell_submission();

create function videos.untell_job(p_job videos.jobs)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- What was told of a job that its user has deleted: it goes from their inbox, and what they wrote from its events. The caller has
-- locked the account. A second call changes nothing. Locks: events → deliveries → tasks, notifications.
declare
  v_about constant jsonb := jsonb_build_object('job_id', p_job.id);
begin
  perform events.forget(p_job.user_id, v_about, '{client_reference}');
  perform notify.forget(p_job.user_id, v_about);
end;
$$;

-- A provider is away while its breaker is not closed, and one that the operator does not use is not: that is written down where
-- it happens.
create function videos.tell_breaker()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if new.breaker = 'closed' or not new.is_enabled then
    perform ops.end_incident('provider ' || new.name, core.now());
  else
    perform ops.begin_incident('provider ' || new.name, case
      when new.unfinished >= new.failures_to_open then format('%s jobs in a row were not finished', new.unfinished)
      else format('%s failures in a row', new.failures)
    end);
  end if;
  return null;
end;
$$;

create trigger tell_breaker after update of breaker, is_enabled on videos.providers
  for each row when ((old.breaker, old.is_enabled) is distinct from (new.breaker, new.is_enabled)) execute function videos.tell_breaker();
