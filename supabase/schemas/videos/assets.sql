create type videos.asset_kind as enum ('video', 'thumbnail');

create table videos.assets (
  job_id uuid not null references videos.jobs,
  owner_id uuid not null,
  kind videos.asset_kind not null,
  -- In the private bucket `videos`: in the job's folder, so that no other job has it.
  path text not null,
  bytes bigint not null check (bytes > 0),
  content_type text not null,
  duration_milliseconds integer,
  width integer,
  height integer,
  created_at timestamptz not null,
  -- When the worker removed the file, after the user deleted the job.
  deleted_at timestamptz,
  -- How near a video comes to what was ordered, from 0 to 100 (videos.judge); null where nothing could be compared.
  quality smallint,
  primary key (job_id, kind)
);
alter table videos.assets enable row level security;
comment on table videos.assets is 'Files in storage.';

-- Where the files of a job are in storage: below the reference of who paid for it, and so in one place, whoever they
-- became since.
create function videos.folder_of(p_job videos.jobs)
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select u.reference || '/' || p_job.id from accounts.users as u
    where u.id = coalesce(credits.hold_owner(p_job.id), p_job.user_id)
  );
end;
$$;

create function videos.task_facts(p_job_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- What the handlers of a job's tasks need: `{ folder, paths, submission }`. `folder` is where the job's files are in
-- storage, `paths` those of its files that are there. `submission` is the one that a provider has or may have,
-- `{ submission_id, provider, provider_model, request_id, references }`, or null. Null where there is no such job.
begin
  return (
    select jsonb_build_object(
      'folder', videos.folder_of(j),
      'paths', (
        select coalesce(jsonb_agg(a.path), '[]') from videos.assets as a where a.job_id = j.id and a.deleted_at is null
      ),
      'submission', (
        select jsonb_build_object(
          'submission_id', s.id, 'provider', s.provider, 'provider_model', s.provider_model,
          'request_id', s.request_id, 'references', s.provider_references
        )
        from videos.submissions as s
        where s.job_id = j.id and s.state in ('sending', 'accepted', 'unknown', 'ended')
        order by s.claimed_at desc
        limit 1
      )
    )
    from videos.jobs as j
    where j.id = p_job_id
  );
end;
$$;

-- Paths of what a bucket of storage has of a user, and of the guests whom they were, whether or not a job knows of it.
create function videos.files_of(p_user_id uuid, p_bucket text)
returns setof text
language plpgsql
stable
set search_path = ''
as $$
declare
  v_folder text;
begin
  for v_folder in
    select u.reference || '/' from accounts.users as u where u.id = any (accounts.with_guests(p_user_id))
  loop
    -- One by one: only of a constant of the query is the index of names asked.
    return query select o.name from storage.objects as o where o.bucket_id = p_bucket and o.name ^@ v_folder;
  end loop;
end;
$$;

-- The jobs of these users, those that they deleted too.
create function videos.jobs_of(p_user_ids uuid[])
returns setof uuid
language sql
stable
set search_path = ''
as $$
  -- One part for each of the two indexes.
  select j.id from videos.jobs as j where j.user_id = any (p_user_ids) and j.deleted_at is null
  union all
  select j.id from videos.jobs as j where j.user_id = any (p_user_ids) and j.deleted_at is not null
$$;

create function videos.blank_jobs(p_job_ids uuid[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Takes out of jobs what accounts.privacy_classes says: what their user said and got. Status, model, credits and times
-- stay.
begin
  perform accounts.apply_privacy('videos.jobs', 't.id = any ($1)', p_job_ids);
  perform accounts.apply_privacy('videos.submissions', 't.job_id = any ($1)', p_job_ids);
  perform accounts.apply_privacy('videos.provider_events', 't.submission_id in (
    select s.id from videos.submissions as s where s.job_id = any ($1))', p_job_ids);
  perform accounts.apply_privacy('videos.assets', 't.job_id = any ($1)', p_job_ids);
end;
$$;

select core.keep_rows_out_of_logs('videos.assets');
