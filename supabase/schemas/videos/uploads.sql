-- Pictures that users bring. Their bytes go to Storage and never through a request of ours.

-- What a user may have, by what they are. The operator changes the numbers.
create table videos.tiers (
  tier text primary key check (tier in ('guest', 'member', 'subscriber')),
  -- All pictures of a user together, those that are still being uploaded by the size that was told.
  storage_bytes bigint not null check (storage_bytes >= 0),
  -- Begun and neither completed nor over, at the same time.
  pending_uploads integer not null check (pending_uploads > 0)
);
alter table videos.tiers enable row level security;
comment on table videos.tiers is 'What users of each tier may have; a change holds from the next request on.';

create type videos.upload_status as enum (
  'pending', -- its URL may be used; nothing trusts what is there
  'ready' -- looked at, cleaned, and copied to where its user cannot write
);

create table videos.uploads (
  id uuid primary key default core.new_id(),
  owner_id uuid not null,
  status videos.upload_status not null default 'pending',
  -- As told, and of what is ready as found. Of a copy nobody tells it before.
  content_type text check (content_type in ('image/jpeg', 'image/png', 'image/webp')),
  bytes bigint check (bytes between 1 and 10485760),
  -- As it is shown, after its orientation.
  width integer,
  height integer,
  -- In the private bucket `uploads`: all files of it are below this, the one that its user wrote as `incoming`.
  folder text not null unique,
  -- The cleaned copy. Its name is new with each try to complete it, so that none writes over another's.
  path text unique,
  created_at timestamptz not null,
  -- Until then its URL writes, whatever became of it.
  expires_at timestamptz not null,
  deleted_at timestamptz,
  -- The job whose `image_url` it is a copy of; null for what its user brought. No foreign key, as in videos.jobs.
  job_id uuid unique,
  -- Of its user's. One that is not there any more is none, as for jobs.
  project_id uuid,
  constraint uploads_told check (num_nulls(content_type, bytes) = 0 or (job_id is not null and status = 'pending')),
  constraint uploads_found check ((status = 'ready') = (path is not null and width is not null and height is not null))
);
alter table videos.uploads enable row level security;
create index uploads_owner on videos.uploads (owner_id, created_at desc, id desc);
create index uploads_project on videos.uploads (project_id, created_at desc, id desc) where project_id is not null;
comment on table videos.uploads is 'Pictures that users brought.';

-- How long a signed upload URL of Storage lives, which says so nowhere else.
create function videos.upload_url_lives()
returns interval
language sql
immutable
return interval '2 hours';

-- Whoever began to complete an upload while it was there is done by then, as each of their calls of Storage ends within 10
-- seconds.
create function videos.tidying_delay()
returns interval
language sql
immutable
return interval '5 minutes';

-- When nothing can be on its way to an upload any more.
create function videos.upload_closes_at(p_upload videos.uploads)
returns timestamptz
language sql
immutable
return (p_upload).expires_at + videos.tidying_delay();

-- Whether an upload is there for its user: theirs, not deleted, and not given up.
create function videos.is_shown(p_upload videos.uploads, p_now timestamptz)
returns boolean
language sql
immutable
return (p_upload).job_id is null and (p_upload).deleted_at is null and ((p_upload).status = 'ready' or (p_upload).expires_at > p_now);

create function videos.tier_of(p_user_id uuid)
returns text
language plpgsql
stable
set search_path = ''
as $$
-- A user's tier follows from their subscription and from how they signed in. Who is in a billing retry has not paid.
begin
  return case
    when purchases.subscription_of(p_user_id) ->> 'status' in ('active', 'in_grace') then 'subscriber'
    when coalesce((select u.is_anonymous from auth.users as u where u.id = p_user_id), true) then 'guest'
    else 'member'
  end;
end;
$$;

-- An upload as the API shows it.
create function videos.upload_json(p_upload videos.uploads)
returns jsonb
language sql
stable
return jsonb_build_object(
  'upload_id', (p_upload).id, 'status', (p_upload).status, 'content_type', (p_upload).content_type,
  'bytes', (p_upload).bytes, 'width', (p_upload).width, 'height', (p_upload).height,
  'project_id', case when (p_upload).project_id is not null then videos.shown_project((p_upload).project_id) end,
  'created_at', core.to_iso((p_upload).created_at)
);

create function videos.find_upload(p_user_id uuid, p_upload_id uuid, p_now timestamptz)
returns videos.uploads
language plpgsql
stable
set search_path = ''
as $$
-- That upload of that user, as long as it is there for them; else null.
declare
  v_upload videos.uploads;
begin
  select u.* into v_upload
  from videos.uploads as u
  where u.id = p_upload_id and u.owner_id = p_user_id and videos.is_shown(u, p_now);
  return v_upload;
end;
$$;

create function videos.begin_upload(
  p_user_id uuid, p_content_type text, p_bytes bigint, p_project_id uuid, out refusal jsonb, out upload videos.uploads
)
language plpgsql
volatile
set search_path = ''
as $$
-- Makes an upload, and the task that cleans up after its URL, where its user's tier has room for it and the project is theirs;
-- else `refusal`. The
-- caller has locked the account, so that what is counted here is exact. Locks: task.
declare
  v_now constant timestamptz := core.now();
  v_tier videos.tiers;
  v_used bigint;
  v_pending integer;
  v_id constant uuid := core.new_id();
begin
  if p_project_id is not null and not videos.has_project(p_user_id, p_project_id) then
    refusal := guard.refusal('resource/not-found');
    return;
  end if;
  select t.* into strict v_tier from videos.tiers as t where t.tier = videos.tier_of(p_user_id);
  select coalesce(sum(u.bytes), 0), count(*) filter (where u.status = 'pending') into v_used, v_pending
  from videos.uploads as u
  where u.owner_id = p_user_id and videos.is_shown(u, v_now);
  if v_pending >= v_tier.pending_uploads then
    refusal := guard.refusal('resource/wrong-state', '{"status": "pending"}');
    return;
  end if;
  if v_used + p_bytes > v_tier.storage_bytes then
    refusal := guard.refusal('upload/quota-exceeded', jsonb_build_object(
      'used_bytes', v_used, 'quota_bytes', v_tier.storage_bytes
    ));
    return;
  end if;
  insert into videos.uploads (id, owner_id, content_type, bytes, project_id, folder, created_at, expires_at)
  values (
    v_id, p_user_id, p_content_type, p_bytes, p_project_id,
    (select u.reference || '/' || v_id from accounts.users as u where u.id = p_user_id),
    v_now, v_now + videos.upload_url_lives()
  )
  returning * into upload;
  perform queue.add('tidy_upload', v_id, p_user_id, videos.upload_closes_at(upload));
end;
$$;

create function videos.uses_upload(p_user_id uuid, p_upload_id uuid)
returns boolean
language sql
stable
set search_path = ''
as $$
  -- Whether a running job of that user is made from the upload. No running job is deleted, which is said for the index.
  select exists (
    select from videos.jobs as j
    where j.user_id = p_user_id and j.status in ('pending', 'processing') and j.deleted_at is null
      -- As their one picture, or among those of a model's own inputs.
      and (j.image_upload_id = p_upload_id or position(p_upload_id::text in j.settings::text) > 0)
  )
$$;

-- Until when a copy is needed at least: its job runs, and may go on beyond its bound. Null for one that is needed no more, and
-- for what a user brought.
create function videos.copy_needed_until(p_upload videos.uploads)
returns timestamptz
language sql
stable
set search_path = ''
as $$
  select greatest(j.due_at, core.now()) from videos.jobs as j
  where j.id = (p_upload).job_id and j.completed_at is null
$$;

create function videos.untidy_files(p_upload videos.uploads)
returns text[]
language plpgsql
volatile
set search_path = ''
as $$
-- Paths of what storage has of an upload and nobody needs: all but the cleaned copy of one that is there for its user, or for
-- a job that runs.
declare
  v_folder constant text := (p_upload).folder || '/';
  v_kept constant text := case when videos.is_shown(p_upload, core.now()) or videos.copy_needed_until(p_upload) is not null
    then (p_upload).path end;
begin
  return array(
    select o.name from storage.objects as o
    where o.bucket_id = 'uploads' and o.name ^@ v_folder and o.name is distinct from v_kept
  );
end;
$$;

select core.keep_rows_out_of_logs('videos.uploads');
