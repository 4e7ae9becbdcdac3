-- What the operator decides about what others object to.

create function ops.note_case(
  p_action ops.admin_action, p_admin_id uuid, p_request_id text, p_job videos.jobs, p_reason text
)
returns void
language sql
volatile
set search_path = ''
as $$
  -- Writes down what an admin decided about a video. Each call is another row.
  insert into ops.admin_actions (action, admin_id, user_id, job_id, reason, request_id, created_at)
  values (p_action, p_admin_id, p_job.user_id, p_job.id, p_reason, p_request_id, core.now())
$$;

create function ops.refund_removal(p_admin_id uuid, p_request_id text, p_job videos.jobs, p_reason text)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Gives back what a video cost that was removed wrongly and is gone, less what was refunded before; null, or why not: what the
-- admin may give in a day is used up. A job that cost nothing, or whose account is closed, gets nothing. A second call finds
-- no cost left. Locks: account → lots → the admin.
declare
  v_account constant credits.accounts := credits.lock_account(p_job.user_id);
  v_taken guard.taken;
  v_action_id constant uuid := core.new_id();
  v_posted jsonb;
begin
  if p_job.credits_used = 0 or v_account.closed_at is not null then
    return null;
  end if;
  v_taken := ops.take_credits(p_admin_id, p_job.credits_used);
  if v_taken.refusal is not null then
    return v_taken.refusal;
  end if;
  v_posted := credits.add(
    p_job.user_id, p_job.credits_used, 'refund', 'admin_action:' || v_action_id, p_job_id => p_job.id
  );
  perform videos.note_refund(p_job.id, p_job.credits_used);
  insert into ops.admin_actions (
    id, action, admin_id, user_id, amount, transfer_id, job_id, reason, request_id, created_at
  )
  values (
    v_action_id, 'refund_removal', p_admin_id, p_job.user_id, p_job.credits_used,
    (v_posted ->> 'transfer_id')::uuid, p_job.id, p_reason, p_request_id, core.now()
  );
  return null;
end;
$$;

create function ops.decide_case(
  p_admin_id uuid, p_request_id text, p_case_id uuid, p_decision text, p_ground text, p_reason text
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Decides a case, with its row of ops.admin_actions: null, or the refusal. `keep` and, of one that is kept or restored too,
-- `remove` and `suspend`, which also suspends the video's user; of an appeal `reject`, or `grant`: the video is shown again
-- where its file is there still, else its credits come back. resource/not-found where there is no such case or its job is
-- gone; auth/forbidden about one's own video, and where an admin would be suspended; resource/wrong-state, with the status of
-- the case, for what it does not allow, which is what a second call gets. Raises case_not_found for another decision.
-- Locks: account → job → case → user → sessions, lots, tasks → the admin.
declare
  v_job videos.jobs;
  v_case safety.cases;
  v_user accounts.users;
  v_refusal jsonb;
  v_is_possible boolean;
begin
  v_job := videos.lock_job((safety.case_of(p_case_id)).job_id);
  v_refusal := (ops.admit_admin(p_admin_id)).refusal;
  if v_refusal is not null then
    return v_refusal;
  end if;
  if v_job.id is null then
    return guard.refusal('resource/not-found');
  end if;
  v_case := safety.case_of(p_case_id, p_locks => true);
  select u.* into strict v_user from accounts.users as u where u.id = v_job.user_id for no key update;
  if v_user.id = p_admin_id or p_decision = 'suspend' and v_user.is_admin then
    return guard.refusal('auth/forbidden');
  end if;
  v_is_possible := case p_decision
    when 'keep' then v_case.status = 'open'
    when 'remove' then v_case.status in ('open', 'kept', 'restored')
    when 'suspend' then v_case.status in ('open', 'kept', 'restored')
    when 'grant' then v_case.status = 'appealed'
    when 'reject' then v_case.status = 'appealed'
  end;
  if v_is_possible is null then
    raise exception 'there is no decision %', p_decision using errcode = 'case_not_found';
  elsif not v_is_possible then
    return guard.refusal('resource/wrong-state', jsonb_build_object('status', v_case.status));
  end if;

  if p_decision = 'grant' then
    if not videos.restore_job(v_job) then
      v_refusal := ops.refund_removal(p_admin_id, p_request_id, v_job, p_reason);
      if v_refusal is not null then
        return v_refusal;
      end if;
    end if;
    perform safety.forget_file(v_job.id);
    perform safety.decide(p_case_id, 'restored');
    perform ops.note_case('grant_appeal', p_admin_id, p_request_id, v_job, p_reason);
  elsif p_decision = 'reject' then
    perform safety.decide(p_case_id, 'removed');
    perform ops.note_case('reject_appeal', p_admin_id, p_request_id, v_job, p_reason);
  elsif p_decision = 'keep' then
    perform safety.decide(p_case_id, 'kept');
    perform ops.note_case('keep_video', p_admin_id, p_request_id, v_job, p_reason);
  else
    perform safety.decide(p_case_id, 'removed', p_ground::safety.ground);
    perform videos.remove_job(v_job);
    perform ops.note_case('remove_video', p_admin_id, p_request_id, v_job, p_reason);
    if p_decision = 'suspend' and v_user.closed_at is null then
      if accounts.set_banned(v_user.id, true) then
        insert into ops.admin_actions (action, admin_id, user_id, reason, request_id, created_at)
        values ('ban', p_admin_id, v_user.id, p_reason, p_request_id, core.now());
      end if;
      perform accounts.end_sessions(v_user.id);
    end if;
  end if;
  return null;
end;
$$;

create function ops.case_json(p_case safety.cases)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- A case as the operator sees it, with the newest 20 reports and notices. The prompt is read by api.post_admin_jobs, which
  -- writes that down. `video_path` is in the bucket `videos`, null once the file is gone.
  select jsonb_build_object(
    'case_id', p_case.id, 'job_id', p_case.job_id, 'status', p_case.status,
    'user_id', j.user_id, 'has_prompt', coalesce(j.prompt <> '', false),
    'video_path', (
      select a.path from videos.assets as a
      where a.job_id = p_case.job_id and a.kind = 'video' and a.deleted_at is null
    ),
    'report_count', p_case.reports, 'notice_count', p_case.notices, 'ground', p_case.ground,
    'appeal', p_case.appeal, 'opened_at', core.to_iso(p_case.opened_at), 'due_at', core.to_iso(p_case.due_at),
    'decided_at', core.to_iso(p_case.decided_at), 'appealed_at', core.to_iso(p_case.appealed_at),
    'appeal_decided_at', core.to_iso(p_case.appeal_decided_at),
    'reports', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'user_id', r.user_id, 'reason', r.reason, 'details', r.details, 'created_at', core.to_iso(r.created_at)
      ) order by r.id desc), '[]')
      from (select n.* from safety.reports as n where n.case_id = p_case.id order by n.id desc limit 20) as r
    ),
    'notices', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'contact', r.contact, 'statement', r.statement, 'received_at', core.to_iso(r.received_at)
      ) order by r.id desc), '[]')
      from (select n.* from safety.notices as n where n.case_id = p_case.id order by n.id desc limit 20) as r
    )
  )
  from (values (p_case.job_id)) as c (job_id)
  left join videos.jobs as j on j.id = c.job_id
$$;

create view ops.open_cases with (security_invoker = true) as
select c.due_at - now() as time_left, c.due_at, c.status, c.notices, c.reports, c.job_id, j.user_id,
  coalesce(j.prompt <> '', false) as has_prompt, c.appeal,
  (
    select a.path from videos.assets as a where a.job_id = c.job_id and a.kind = 'video' and a.deleted_at is null
  ) as video_path, c.opened_at, c.id as case_id
from safety.cases as c
left join videos.jobs as j on j.id = c.job_id
where c.status in ('open', 'appealed');
comment on view ops.open_cases is
  'What is to be decided: order by due_at, opened_at. The prompt is read by POST admin-jobs, which writes that down.';
