-- accounts: who there is, and what becomes of them. In this order: accounts.sql, admission.sql, erasure.sql,
-- closing.sql, apple-revocation.sql, merging.sql, exports.sql, identities.sql, channels.sql.

create schema accounts;

create table accounts.users (
  -- Equal to auth.users.id, without a foreign key: a closed account stays as a tombstone.
  id uuid primary key,
  -- What others may see of whom this is: it stands in storage paths and webhook URLs, where the id does not.
  reference uuid not null unique default gen_random_uuid(),
  display_name text check (char_length(display_name) between 1 and 50),
  language text check (language in ('en', 'tr', 'es')),
  theme_preference text not null default 'system' check (theme_preference in ('system', 'light', 'dark')),
  is_admin boolean not null default false,
  is_banned boolean not null default false,
  closed_at timestamptz,
  created_at timestamptz not null default now(),
  -- What an app gives the store with a purchase, so that whoever presents it, this user is credited. Not the id: whoever
  -- knows it can buy for the user, and have that refunded.
  app_account_token uuid not null unique default gen_random_uuid(),
  -- Whether Apple may be told how much of a purchase was used, when its refund is asked for.
  shares_consumption boolean not null default false,
  -- Who this guest became; from then on nobody acts as the guest.
  merged_into uuid constraint users_another check (merged_into <> id),
  -- Who may get this user's prompts and images, by the names that models.processed_by has.
  accepted_processors text[] not null default '{}'
    check (cardinality(accepted_processors) <= 20 and array_position(accepted_processors, null) is null),
  -- What the user wants to hear of, by type and channel: what notify.with_changes made of their choices.
  notification_preferences jsonb not null default '{}'
);
alter table accounts.users enable row level security;
create index users_merged_into on accounts.users (merged_into) where merged_into is not null;
create index users_created_at on accounts.users (created_at);
comment on table accounts.users is 'Accounts, made by the first procedure that needs one; closed and merged ones are tombstones.';

-- A tombstone says who it was, and nothing about them.
alter table accounts.users add constraint users_tombstone check (
  closed_at is null or (display_name is null and language is null and theme_preference = 'system' and not is_admin
    and not shares_consumption and accepted_processors = '{}' and notification_preferences = '{}')
);

-- A closed account is never opened again, nor does a merged one become its own, by whatever hand.
create function accounts.keep_tombstones()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  raise exception 'the account of user % is % for good', old.id,
    case when old.closed_at is not null then 'closed' else 'merged' end
    using errcode = 'restrict_violation';
end;
$$;

create trigger keep_tombstones before update of id, closed_at on accounts.users
  for each row when (old.closed_at is not null and (new.id, new.closed_at) is distinct from (old.id, old.closed_at))
  execute function accounts.keep_tombstones();
create trigger keep_merged before update of id, merged_into on accounts.users
  for each row when (old.merged_into is not null and (new.id, new.merged_into) is distinct from (old.id, old.merged_into))
  execute function accounts.keep_tombstones();
create trigger keep_tombstones_from_deletion before delete on accounts.users
  for each row when (old.closed_at is not null or old.merged_into is not null) execute function accounts.keep_tombstones();

select core.keep_rows_out_of_logs('accounts.users');
