-- A hosted project grants everything in `public` to the API roles, and Postgres lets everybody execute a new
-- function. Both end here: from now on each object names who may use it, and a test holds the whole matrix.

alter default privileges in schema public revoke all on tables from anon, authenticated, service_role;
alter default privileges in schema public revoke all on sequences from anon, authenticated, service_role;
alter default privileges in schema public revoke all on functions from anon, authenticated, service_role;
alter default privileges revoke execute on functions from public;
