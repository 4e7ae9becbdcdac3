-- core: what every other domain stands on. In this order: core.sql, errors.sql, time.sql,
-- platform.sql, tick.sql, scheduler.sql, rows.sql.
--
-- A domain is a schema and a folder; docs/database.md has the order in which they are read and made.

-- A hosted project grants everything in `public` to the API roles, and Postgres lets everybody execute a new function.
-- Both end here, once: from now on whoever may use an object is named where it is made, and a test holds the whole
-- matrix.
alter default privileges in schema public revoke all on tables from anon, authenticated, service_role;
alter default privileges in schema public revoke all on sequences from anon, authenticated, service_role;
alter default privileges in schema public revoke all on functions from anon, authenticated, service_role;
alter default privileges revoke execute on functions from public;

create schema core;

-- Who can own credits, work and files.
create type core.owner_kind as enum ('user', 'organisation', 'system');
