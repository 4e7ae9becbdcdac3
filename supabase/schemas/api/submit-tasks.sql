create function api.claim_submission(
  p_job_id uuid, p_providers text[], p_moderates boolean default false, p_verdict jsonb default null,
  p_has_files boolean default false
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Claims the sending of a job to a provider, one of p_providers: those that this deployment has keys for. It
-- commits before the request leaves, and from then on nobody sends the job again unless record_submission learns
-- that the provider does not have it. `data`: `{ claimed: true, submission_id, owner_reference, provider,
-- provider_model, prompt, settings, fields }`, `fields` being those of the provider's for what the model takes beside prompt
-- and size, or `{ claimed: false }` when there is nothing to send: the job is not pending or is overdue, or no provider is to
-- be had now and the task waits. With p_moderates nothing is claimed before the moderation service let the prompt pass: `{
-- claimed: false, prompt }` asks the caller to ask it, within the task's lease, and to come back with p_verdict, as the port
-- names it. `passed` is remembered, and goes on as if it had been known; see videos.refuse_claim for the others. A job that is
-- made from files is not claimed without p_has_files: `{ claimed: false, image_path, image_seconds, prompt? }` asks the caller
-- to sign a URL of the cleaned copy for so long, and to have it judged with the prompt; `{ claimed: false, image_url,
-- image_folder, image_upload_id, prompt? }` to fetch the picture into the folder before, and to tell api.record_image; `{
-- source_path, picture_paths, files_seconds }` (videos.files_for) beside them to sign these as well, and to have the pictures
-- judged. A claim whose lease ran out had a worker that died: its submission is
-- `unknown`, for its webhook or its deadline to decide. Locks: job → providers, by name → task; without a pass those of
-- videos.refuse_claim.
declare
  v_job videos.jobs;
  v_now timestamptz;
  v_choice videos.model_providers;
  v_model videos.models;
  v_cost numeric;
  v_counted_on date;
  v_submission_id uuid;
  v_attempts integer;
  v_files jsonb;
  v_has_image boolean;
  v_said text;
begin
  if p_verdict ->> 'verdict' <> 'passed' then
    perform videos.refuse_claim(p_job_id, p_verdict);
    return guard.answer('{"claimed": false}');
  end if;
  select j.* into v_job from videos.jobs as j where j.id = p_job_id for update;
  v_now := core.now();

  if v_job.status is distinct from 'pending' then
    update videos.submissions as s
    set state = 'unknown', cause = 'the worker did not come back'
    where s.job_id = p_job_id and s.state = 'sending' and s.claimed_at <= v_now - queue.timeout('submit');
    if found or v_job.completed_at is not null then
      perform queue.drop(p_job_id, '{submit}');
    end if;
    return guard.answer('{"claimed": false}');
  end if;
  -- Its bound is over: the cancel task ends it, and a provider that takes it now would work for nobody.
  if v_job.due_at <= v_now then
    return guard.answer('{"claimed": false}');
  end if;

  v_files := videos.files_for(v_job, v_now);
  -- The operator removed what it is to be made from: its bound ends it, where that did not.
  if v_job.source_job_id is not null and not v_files ? 'source_path' then
    return guard.answer('{"claimed": false}');
  end if;
  v_said := v_job.prompt;
  if videos.inputs_in(v_job.settings) <> '{}' then
    v_said := videos.said(m.inputs, v_job.prompt, v_job.settings) from videos.models as m where m.id = v_job.model_id;
  end if;
  v_has_image := num_nonnulls(v_job.image_url, v_job.image_upload_id) > 0;
  if (v_has_image or v_files is not null) and not p_has_files then
    perform queue.lease('submit', p_job_id);
    return guard.answer(jsonb_strip_nulls(
      coalesce(v_files, '{}') || case when v_has_image then videos.ask_for_image(v_job, v_now) else '{}' end || jsonb_build_object(
        'claimed', false, 'prompt', case when p_moderates and v_job.moderated_at is null then v_said end
      )
    ));
  end if;
  if p_verdict is not null then
    v_job.moderated_at := coalesce(v_job.moderated_at, v_now);
  elsif p_moderates and v_job.moderated_at is null then
    perform queue.lease('submit', p_job_id);
    return guard.answer(jsonb_build_object('claimed', false, 'prompt', v_said));
  end if;

  select count(*) into v_attempts from videos.submissions as s where s.job_id = p_job_id;
  select m.* into strict v_model from videos.models as m where m.id = v_job.model_id;
  -- In one order for all, since each job prefers them in its own.
  perform from videos.providers as v
  where v.name in (select c.provider from videos.candidates(v_job, p_providers) as c)
  order by v.name
  for update;
  -- The one that turned this job away least often; of several one that has been away for an hour, since a provider that is not
  -- preferred would never be tried again; then the preferred one. The first of them that may be given a job now.
  for v_choice in
    select p.*
    from videos.candidates(v_job, p_providers) as p
    join videos.providers as v on v.name = p.provider
    order by (
      select count(*) from videos.submissions as s where s.job_id = p_job_id and s.provider = p.provider
    ), v.breaker <> 'closed' and v.opened_at <= v_now - interval '1 hour' desc, p.preference
  loop
    v_cost := videos.cost_cents(v_choice, v_model, v_job.settings);
    v_counted_on := videos.admit_submission(v_choice.provider, v_cost);
    exit when v_counted_on is not null;
    v_choice := null;
  end loop;
  if v_choice.provider is null then
    update videos.jobs as j
    set moderated_at = v_job.moderated_at
    where j.id = p_job_id and j.moderated_at is distinct from v_job.moderated_at;
    perform queue.postpone(
      'submit', p_job_id, 'no provider is to be had now', videos.busy_seconds(v_job, p_providers), v_attempts + 1
    );
    return guard.answer('{"claimed": false}');
  end if;

  insert into videos.submissions (job_id, owner_id, provider, provider_model, cost_cents, claimed_at, counted_on)
  values (p_job_id, v_job.user_id, v_choice.provider, v_choice.provider_model, v_cost, v_now, v_counted_on)
  returning id into v_submission_id;
  update videos.jobs as j
  set status = 'processing', moderated_at = v_job.moderated_at,
      flag = (
        select t.reason from videos.moderation_terms as t
        where t.id = videos.find_moderation_term(v_said, 'flag')
      )
  where j.id = p_job_id;
  -- The lease covers the request; when it runs out, the next claim finds out about this one.
  perform queue.lease('submit', p_job_id);

  return guard.answer(jsonb_build_object(
    'claimed', true, 'submission_id', v_submission_id,
    'owner_reference', (select u.reference from accounts.users as u where u.id = v_job.user_id),
    'provider', v_choice.provider,
    'provider_model', v_choice.provider_model, 'prompt', v_job.prompt, 'settings', v_job.settings,
    'fields', case when videos.inputs_in(v_job.settings) = '{}' then '{}' else videos.provider_fields(v_choice, v_job.settings) end
  ));
end;
$$;
grant execute on function api.claim_submission to service_role;

create function api.record_image(p_job_id uuid, p_upload_id uuid, p_outcome jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- What became of fetching a job's picture, as api.claim_submission asked for it. `kept`, with the copy's path, content_type,
-- bytes, width and height: the upload is ready, `data` is `{ image_path, image_seconds }`, and the task is leased anew; of several
-- copies the first counts. `unusable`, with its reason: the job ends with upload/not-usable. `unavailable`, with its cause: the
-- task waits by its backoff, and when the patience is over the picture is `missing`. `data` is `{}` for both, and for a job that
-- has gone on or ended. Locks: account → job → lots → upload → tasks.
declare
  v_job videos.jobs;
  v_upload videos.uploads;
  v_outcome constant text := p_outcome ->> 'outcome';
  v_now timestamptz;
begin
  v_job := videos.lock_job(p_job_id);
  v_now := core.now();
  if v_job.status is distinct from 'pending' then
    return guard.answer('{}');
  end if;
  if v_outcome = 'kept' then
    update videos.uploads as u
    set status = 'ready', path = p_outcome ->> 'path', content_type = p_outcome ->> 'content_type',
        bytes = (p_outcome ->> 'bytes')::bigint, width = (p_outcome ->> 'width')::integer,
        height = (p_outcome ->> 'height')::integer
    where u.id = p_upload_id and u.job_id = p_job_id and u.status = 'pending';
  end if;
  select u.* into strict v_upload from videos.uploads as u where u.id = p_upload_id and u.job_id = p_job_id;
  if v_upload.status = 'ready' then
    perform queue.lease('submit', p_job_id);
    return guard.answer(videos.image_to_do(v_job, v_upload, v_now));
  elsif v_outcome = 'unavailable' and v_now < v_upload.created_at + videos.image_patience() then
    perform queue.postpone('submit', p_job_id, p_outcome ->> 'cause', null);
  else
    perform videos.settle_locked_job(
      v_job, 'failed', core.error_code('upload/not-usable'),
      jsonb_build_object('reason', coalesce(p_outcome ->> 'reason', 'missing'))
    );
  end if;
  return guard.answer('{}');
end;
$$;
grant execute on function api.record_image to service_role;

create function api.record_submission(
  p_submission_id uuid, p_outcome jsonb, p_poll_seconds numeric, p_providers text[] default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Records what became of a submission, as the provider port names it: `accepted`, `refused`, `not_accepted` or
-- `unknown`. p_poll_seconds: when to ask the provider for the first time, should no webhook come. Refused, the job goes
-- on to the next of p_providers that might take it; one whose policy is against the prompt has spoken for all. `data`:
-- `{ status, has_others }`, the job's, and whether it may be claimed at once for another provider. A second call, or
-- one after the job's end, changes nothing but what is known. Locks: account → job → submission → provider → tasks →
-- alert.
declare
  v_job videos.jobs;
  v_submission videos.submissions;
  v_outcome constant text := p_outcome ->> 'outcome';
  v_has_others boolean := false;
  v_now timestamptz;
begin
  select s.* into strict v_submission from videos.submissions as s where s.id = p_submission_id;
  v_job := videos.lock_job(v_submission.job_id);
  select s.* into v_submission from videos.submissions as s where s.id = p_submission_id for update;
  v_now := core.now();
  -- `unknown` too: the answer may come after the claim was given up, or an event may have been adopted before.
  if v_submission.state not in ('sending', 'unknown') then
    return guard.answer(jsonb_build_object('status', v_job.status, 'has_others', false));
  end if;

  update videos.submissions as s
  set state = v_outcome::videos.submission_state,
      request_id = p_outcome ->> 'request_id',
      provider_references = p_outcome -> 'references',
      accepted_at = case when v_outcome = 'accepted' then v_now end,
      cause = coalesce(p_outcome ->> 'cause', p_outcome #>> '{failure,cause}')
  where s.id = p_submission_id;
  perform videos.note_submission(v_submission, p_outcome);

  if v_job.completed_at is null then
    if v_outcome = 'accepted' then
      perform queue.drop(v_job.id, '{submit}');
      perform videos.add_task(
        'poll', v_job, v_now + make_interval(secs => p_poll_seconds::double precision)
      );
      -- There is now somebody to ask.
      if v_job.cancel_requested_at is not null then
        perform videos.add_task('cancel', v_job, v_now);
      end if;
      -- A provider that does not tell when it starts is taken to start now.
      if not coalesce((p_outcome ->> 'reports_start')::boolean, false) then
        update videos.jobs as j
        set started_at = v_now, due_at = v_now + m.finish_within
        from videos.models as m
        where j.id = v_job.id and m.id = j.model_id;
      end if;
    elsif v_outcome = 'unknown' then
      perform queue.drop(v_job.id, '{submit}');
    elsif v_outcome = 'refused' and (
      p_outcome #>> '{failure,code}' = core.error_code('prompt/refused')
      or not exists (select from videos.candidates(v_job, p_providers))
    ) then
      perform videos.settle_video_job(
        v_job.id, 'failed', p_outcome #>> '{failure,code}', coalesce(p_outcome #> '{failure,details}', '{}')
      );
    elsif v_job.cancel_requested_at is not null then
      perform videos.settle_video_job(v_job.id, 'cancelled');
    else
      update videos.jobs as j set status = 'pending' where j.id = v_job.id;
      -- Its task is gone where the claim was given up before this proof came.
      perform videos.add_task('submit', v_job, v_now);
      perform queue.postpone(
        'submit', v_job.id, coalesce(p_outcome ->> 'cause', p_outcome #>> '{failure,cause}'),
        videos.busy_seconds(v_job, p_providers),
        (select count(*)::integer from videos.submissions as s where s.job_id = v_job.id)
      );
      v_has_others := exists (
        select from videos.candidates(v_job, p_providers) as c where c.provider <> v_submission.provider
      );
    end if;
  end if;
  perform videos.alert_about(v_submission, p_outcome);
  return guard.answer((
    select jsonb_build_object('status', j.status, 'has_others', v_has_others) from videos.jobs as j where j.id = v_job.id
  ));
end;
$$;
grant execute on function api.record_submission to service_role;
