/**
 * What a hosted Supabase project has before its first migration: roles, grants, and the schemas of the platform's services.
 */
import { getAuthSchemaSql, getStorageSchemaSql } from "@supabase/lite";
import { withConnection } from "./database.ts";

/**
 * Makes the database at `url` look like a fresh hosted project to the migrations. May be repeated.
 *
 * Its grants are as generous as the platform's, so that a revoke which a migration forgets fails here as it would there.
 */
export async function preparePlatform(url: string): Promise<void> {
  await withConnection(url, (sql) =>
    sql.begin(async (sql) => {
      for (
        const part of [roles, getAuthSchemaSql(), authFunctions, getStorageSchemaSql(), extensions, grants]
      ) {
        await sql.unsafe(part).simple();
      }
    }));
}

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
        ('authenticator', 'nologin noinherit'),
        ('supabase_auth_admin', 'nologin noinherit createrole'),
        ('supabase_storage_admin', 'nologin noinherit createrole')
      ) as roles (name, options)
  loop
    begin
      execute format('create role %I %s', wanted.name, wanted.options);
    exception
      -- A server has one set of roles, and two of its databases may be prepared at the same moment.
      when duplicate_object or unique_violation then null;
    end;
  end loop;
  if not pg_has_role('authenticator', 'service_role', 'member') then
    grant anon, authenticated, service_role to authenticator;
  end if;
end
$$;
`;

/** The platform's own definitions: PostgREST gives claims one by one in old versions, together in new ones. */
const authFunctions = `
create or replace function auth.uid() returns uuid language sql stable as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim.sub', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
  )::uuid
$$;

create or replace function auth.role() returns text language sql stable as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim.role', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'
  )
$$;

create or replace function auth.email() returns text language sql stable as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim.email', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email'
  )
$$;

create or replace function auth.jwt() returns jsonb language sql stable as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')
  )::jsonb
$$;
`;

const extensions = `
create schema if not exists extensions;
create extension if not exists pgcrypto with schema extensions;
`;

const grants = `
grant usage on schema public, extensions, auth, storage to anon, authenticated, service_role;

grant all on all tables in schema public to anon, authenticated, service_role;
grant all on all sequences in schema public to anon, authenticated, service_role;
grant all on all routines in schema public to anon, authenticated, service_role;
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;
alter default privileges in schema public grant all on routines to anon, authenticated, service_role;

grant all on all tables in schema storage to anon, authenticated, service_role;
grant all on all sequences in schema storage to anon, authenticated, service_role;
grant all on all routines in schema storage to anon, authenticated, service_role;
alter default privileges in schema storage grant all on tables to anon, authenticated, service_role;
alter default privileges in schema storage grant all on sequences to anon, authenticated, service_role;
alter default privileges in schema storage grant all on routines to anon, authenticated, service_role;
`;
