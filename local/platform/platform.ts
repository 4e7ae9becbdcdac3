/**
 * What a hosted Supabase project has before its first migration: roles, grants, and the schemas of the platform's services.
 */
import { getAuthSchemaSql, getStorageSchemaSql } from "@supabase/lite";
import { withConnection } from "../postgres/database.ts";
import { loginRoles, owner } from "./platform-roles.ts";
import { realtimeGrants, realtimeSchema } from "./realtime/schema.ts";

/**
 * Makes the database at `url`, which must be a superuser's, look like a fresh hosted project to the migrations. May be
 * repeated.
 *
 * Its grants are as generous as the platform's, so that a revoke which a migration forgets fails here as it would there,
 * and no more generous, so that a migration which wants too much does too.
 */
export async function preparePlatform(url: string): Promise<void> {
  await withConnection(url, async (sql) => {
    await sql.begin(async (sql) => {
      // A server has one set of roles, and two of its databases may be prepared at the same moment.
      await sql`lock table pg_authid in share row exclusive mode`;
      await sql.unsafe(roles).simple();
      const password = decodeURIComponent(new URL(url).password) || null;
      const [logins] = await sql<{ statements: string }[]>`
        select string_agg(format('alter role %I login password %L', name, ${password}::text), ';') as statements
        from unnest(${loginRoles}::text[]) as name`;
      await sql.unsafe(logins?.statements ?? "").simple();
    });
    await sql.begin(async (sql) => {
      for (
        const part of [
          getAuthSchemaSql(),
          authFactors,
          authFunctions,
          getStorageSchemaSql(),
          realtimeSchema,
          extensions,
          owners,
          grants,
          realtimeGrants,
        ]
      ) {
        await sql.unsafe(part).simple();
      }
    });
  });
}

/** As in github.com/supabase/postgres, migrations/db; the limits of the Data API are those of `authenticator`. */
const roles = `
do $$
declare
  wanted record;
begin
  for wanted in
    select *
      from (values
        ('anon', 'nologin noinherit'),
        ('authenticated', 'nologin noinherit'),
        ('service_role', 'nologin noinherit bypassrls'),
        ('authenticator', 'noinherit'),
        ('supabase_auth_admin', 'noinherit'),
        ('supabase_storage_admin', 'noinherit createrole'),
        ('supabase_realtime_admin', 'noinherit'),
        ('${owner}', 'createdb createrole replication bypassrls')
      ) as roles (name, options)
  loop
    if not exists (select from pg_roles where rolname = wanted.name) then
      execute format('create role %I %s', wanted.name, wanted.options);
    end if;
  end loop;
end
$$;

grant anon, authenticated, service_role to authenticator;
grant authenticator to supabase_storage_admin;
grant anon, authenticated, service_role to supabase_realtime_admin;
grant anon, authenticated, service_role to ${owner} with admin option;
grant pg_monitor, pg_read_all_data, pg_signal_backend to ${owner};
grant set on parameter session_replication_role to ${owner};

alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';
alter role ${owner} set search_path = "$user", public, extensions;
`;

/** The platform's own definitions: PostgREST gives claims one by one in old versions, together in new ones. */
const claimFunction = (name: string, claim: string, type: string) => `
create or replace function auth.${name}() returns ${type} language sql stable as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim.${claim}', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> '${claim}'
  )::${type}
$$;
`;
const authFunctions = `
${claimFunction("uid", "sub", "uuid")}${claimFunction("role", "role", "text")}${
  claimFunction("email", "email", "text")
}
create or replace function auth.jwt() returns jsonb language sql stable as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')
  )::jsonb
$$;
`;

/** As github.com/supabase/auth has them; Lite's Auth knows no second factor. */
const authFactors = `
do $$
begin
  if to_regtype('auth.factor_type') is null then
    create type auth.factor_type as enum ('totp', 'webauthn', 'phone');
    create type auth.factor_status as enum ('unverified', 'verified');
  end if;
end
$$;
create table if not exists auth.mfa_factors (
  id uuid primary key,
  user_id uuid not null references auth.users (id) on delete cascade,
  friendly_name text,
  factor_type auth.factor_type not null,
  status auth.factor_status not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  secret text,
  phone text,
  last_challenged_at timestamptz unique
);
create unique index if not exists mfa_factors_user_friendly_name_unique on auth.mfa_factors (friendly_name, user_id)
  where trim(friendly_name) <> '';
create index if not exists mfa_factors_user_id_idx on auth.mfa_factors (user_id);
create table if not exists auth.mfa_challenges (
  id uuid primary key,
  factor_id uuid not null references auth.mfa_factors (id) on delete cascade,
  created_at timestamptz not null,
  verified_at timestamptz,
  ip_address inet not null,
  otp_code text
);
create table if not exists auth.mfa_amr_claims (
  id uuid primary key,
  session_id uuid not null references auth.sessions (id) on delete cascade,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  authentication_method text not null,
  unique (session_id, authentication_method)
);
`;

const extensions = `
create schema if not exists extensions;
create extension if not exists pgcrypto with schema extensions;
`;

/** Auth, Storage and Realtime own what is theirs: the owner of the project alters none of it, and makes nothing beside it. */
const owners = `
do $$
declare
  service record;
  object record;
begin
  execute format('alter database %I owner to ${owner}', current_database());
  alter schema extensions owner to ${owner};
  for service in
    select *
      from (values
        ('auth', 'supabase_auth_admin'), ('storage', 'supabase_storage_admin'), ('realtime', 'supabase_realtime_admin')
      ) as s (name, role)
  loop
    execute format('alter schema %I owner to %I', service.name, service.role);
    for object in
      select c.oid::regclass as name from pg_class as c
      where c.relnamespace = service.name::regnamespace and c.relkind in ('r', 'p')
    loop
      execute format('alter table %s owner to %I', object.name, service.role);
      execute format('alter table %s enable row level security', object.name);
    end loop;
    for object in
      select p.oid::regprocedure as name from pg_proc as p where p.pronamespace = service.name::regnamespace
    loop
      execute format('alter routine %s owner to %I', object.name, service.role);
    end loop;
  end loop;
end
$$;
`;

const grants = `
grant usage on schema public, extensions, auth, storage to anon, authenticated, service_role;

grant all on all tables in schema public to anon, authenticated, service_role;
grant all on all sequences in schema public to anon, authenticated, service_role;
grant all on all routines in schema public to anon, authenticated, service_role;
alter default privileges for role ${owner} in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges for role ${owner} in schema public grant all on sequences to anon, authenticated, service_role;
alter default privileges for role ${owner} in schema public grant all on routines to anon, authenticated, service_role;

grant all on all tables in schema storage to anon, authenticated, service_role;
grant all on all routines in schema storage to anon, authenticated, service_role;

grant usage on schema auth to ${owner};
grant insert, update, delete, truncate, references, trigger, maintain on all tables in schema auth to ${owner};
grant select on all tables in schema auth to ${owner} with grant option;
grant all on all routines in schema auth to ${owner};

grant usage on schema storage to ${owner} with grant option;
grant all on all tables in schema storage to ${owner} with grant option;
grant all on all routines in schema storage to ${owner};

-- The platform's Auth checks passwords by itself, this machine's by pgcrypto.
grant usage on schema extensions to supabase_auth_admin;

grant all on all routines in schema extensions to ${owner} with grant option;
alter default privileges in schema extensions grant all on routines to ${owner} with grant option;
`;
