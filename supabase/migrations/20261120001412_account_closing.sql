-- Closing an account, at once and for good. What is left of it is a tombstone; the worker erases the rest later.

-- A tombstone says who it was, and nothing about them.
alter table public.users add constraint users_tombstone check (
  closed_at is null or (display_name is null and language is null and theme_preference = 'system' and not is_admin)
);

create function public.keep_tombstones()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  raise exception 'the account of user % is closed for good', old.id using errcode = 'restrict_violation';
end;
$$;

revoke all on function public.keep_tombstones() from public, anon, authenticated, service_role;
comment on function public.keep_tombstones() is 'A closed account is never opened again, by whatever hand.';

create trigger keep_tombstones before update of id, closed_at on public.users
  for each row when (old.closed_at is not null and (new.id, new.closed_at) is distinct from (old.id, old.closed_at))
  execute function public.keep_tombstones();
create trigger keep_tombstones_from_deletion before delete on public.users
  for each row when (old.closed_at is not null) execute function public.keep_tombstones();

create function public.close_account(p_user_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- Closes the caller's account. Jobs that are pending or storing end as cancelled; those that a provider has, or may have,
-- get a `cancel` task, and end so whatever comes. What credits are left, and what comes back later, is forfeited. The
-- sessions end. Of the user a tombstone stays; what else there is of them, an `erase_account` task erases.
-- `data`: `{ user_id, closed_at }`. A second call, also one at the same time, is ERR_4005. Counts against `writes`.
-- Locks: rate-limit row → account → user → jobs → lots → sessions.
declare
  v_caller record;
  v_now timestamptz;
  v_job public.video_jobs;
begin
  select * into v_caller from guard.enter(p_user_id, 'user-profile', '{writes}', null);
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;
  -- From here on no job of theirs is accepted, and none ends but here.
  perform credits.lock_account(p_user_id);
  v_now := ops.now();
  update public.users as u
  set closed_at = v_now, display_name = null, language = null, theme_preference = 'system', is_admin = false
  where u.id = p_user_id and u.closed_at is null;
  if not found then
    return guard.refusal('ERR_4005', '{}', v_caller.limits);
  end if;

  for v_job in
    select j.* from public.video_jobs as j
    where j.user_id = p_user_id and j.deleted_at is null and j.completed_at is null
    order by j.id
    for update
  loop
    update public.video_jobs as j
    set cancel_requested_at = coalesce(j.cancel_requested_at, v_now)
    where j.id = v_job.id;
    if v_job.status = 'pending' or v_job.storing_at is not null then
      perform generation.settle_video_job(v_job.id, 'cancelled');
    else
      -- A request that is still on its way has no id to cancel; its answer brings the task forward.
      perform generation.add_task('cancel', v_job.id, coalesce(generation.sending_until(v_job.id), v_now));
    end if;
  end loop;
  perform credits.close_account(p_user_id);
  perform ops.end_sessions(p_user_id);
  perform generation.add_task('erase_account', p_user_id, generation.erasable_at(p_user_id));
  return guard.answer(
    jsonb_build_object('user_id', p_user_id, 'closed_at', ops.to_iso(v_now)), v_caller.limits, v_caller.language
  );
end;
$$;

revoke all on function public.close_account(uuid) from public, anon, authenticated;
grant execute on function public.close_account(uuid) to service_role;
comment on function public.close_account(uuid) is 'Behind DELETE user-profile.';
