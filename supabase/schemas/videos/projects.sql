create table videos.projects (
  id uuid primary key default core.new_id(),
  -- As in videos.jobs: accounts.admit has just seen the user, whose row is never deleted.
  user_id uuid not null,
  name text not null,
  -- Its jobs, without those that are deleted: counting them would cost more with each. Who adds or deletes one has the
  -- account's lock.
  job_count integer not null default 0 check (job_count >= 0),
  created_at timestamptz not null
) with (fillfactor = 80);
alter table videos.projects enable row level security;
-- A user's projects, newest first.
create index projects_user on videos.projects (user_id, created_at desc, id desc);
comment on table videos.projects is 'What users sort their videos by. A job may name one that is gone: that is none.';

-- A project as the API shows it.
create function videos.project_json(p_project videos.projects)
returns jsonb
language sql
stable
return jsonb_build_object(
  'project_id', (p_project).id, 'name', (p_project).name, 'job_count', (p_project).job_count,
  'created_at', core.to_iso((p_project).created_at)
);

create function videos.has_project(p_user_id uuid, p_project_id uuid)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
-- Whether it is a project of that user's.
begin
  return exists (select from videos.projects as p where p.id = p_project_id and p.user_id = p_user_id);
end;
$$;

create function videos.shown_project(p_project_id uuid)
returns uuid
language plpgsql
stable
set search_path = ''
as $$
-- The project, while it is there: deleting one does not touch its jobs, of which there may be 100,000.
begin
  return (select p.id from videos.projects as p where p.id = p_project_id);
end;
$$;

create function videos.count_in_project(p_project_id uuid, p_jobs integer)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- So many jobs more, or less, are in a project; one that is gone or null counts nothing. The caller has locked the account
-- and changes the jobs in the same transaction. Locks: the project.
begin
  update videos.projects as p set job_count = p.job_count + p_jobs where p.id = p_project_id;
end;
$$;

select core.keep_rows_out_of_logs('videos.projects');
