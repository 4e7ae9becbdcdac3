-- What is removed is known again. A stored video is not hashed (docs/decisions/0028): only one that has the size and the
-- length of one that was removed.

create table safety.removed_files (
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  bytes bigint not null,
  duration_milliseconds integer not null,
  ground safety.ground not null,
  -- Whose removal it was, while that stands; the same bytes may have been removed of several.
  job_id uuid not null,
  removed_at timestamptz not null,
  primary key (sha256, job_id)
);
alter table safety.removed_files enable row level security;
create index removed_files_size on safety.removed_files (bytes, duration_milliseconds);
create index removed_files_job on safety.removed_files (job_id);
comment on table safety.removed_files is 'Fingerprints of removed videos, kept for good: the same bytes are refused.';

create function safety.may_be_removed(p_bytes bigint, p_duration_milliseconds integer)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
-- Whether a video of that size and length may be one that was removed: then its bytes are to be asked.
begin
  return exists (
    select from safety.removed_files as f
    where f.bytes = p_bytes and f.duration_milliseconds = coalesce(p_duration_milliseconds, 0)
  );
end;
$$;

create function safety.ground_of_file(p_sha256 text)
returns safety.ground
language plpgsql
stable
set search_path = ''
as $$
-- Why those very bytes were removed, first; null where they were not.
begin
  return (
    select f.ground from safety.removed_files as f where f.sha256 = p_sha256 order by f.removed_at, f.job_id limit 1
  );
end;
$$;

create function safety.remember_file(p_job_id uuid, p_sha256 text, p_bytes bigint, p_duration_milliseconds integer)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- Notes the fingerprint of a removed video. A second call changes nothing.
begin
  insert into safety.removed_files (sha256, bytes, duration_milliseconds, ground, job_id, removed_at)
  select p_sha256, p_bytes, coalesce(p_duration_milliseconds, 0), c.ground, p_job_id, core.now()
  from safety.cases as c
  where c.job_id = p_job_id and c.ground is not null
  on conflict (sha256, job_id) do nothing;
end;
$$;

create function safety.forget_file(p_job_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
-- A removal was wrong: its bytes may come again.
begin
  delete from safety.removed_files as f where f.job_id = p_job_id;
end;
$$;

select core.keep_rows_out_of_logs('safety.removed_files');
