-- admin-queue: what its procedures decide.
begin;
select plan(15);

insert into auth.users (id, is_anonymous) values ('00000000-0000-4000-8000-000000000001', false), ('00000000-0000-4000-8000-000000000002', true);
select ops.make_admin('00000000-0000-4000-8000-000000000001');
select accounts.admit('00000000-0000-4000-8000-000000000002');
create function pg_temp.page(p_limit integer, p_kind text default null, p_after jsonb default null) returns jsonb language sql volatile as $$
  select api.get_admin_queue('00000000-0000-4000-8000-000000000001', p_limit, p_kind, p_after) -> 'data'
$$;
create function pg_temp.replay(p_place integer) returns jsonb language sql volatile as $$
  select api.post_admin_queue('00000000-0000-4000-8000-000000000001', 'r', t.id, 'a test')
  from queue.tasks as t where t.subject = ('00000000-0000-4000-8000-00000000010' || p_place)::uuid order by t.id limit 1
$$;
insert into queue.tasks (kind, subject, payload, priority, place, run_at, attempts, last_error, created_at, failed_at)
select case when n = 3 then 'store' else 'delete_files' end, ('00000000-0000-4000-8000-00000000010' || n)::uuid, '{"key": "a secret"}', 5, 0, now(), 10,
  'storage answered 503', now(), case when n < 4 then now() - n * interval '1 minute' end
from generate_series(1, 4) as n;

select is(
  (select string_agg(right(t.value ->> 'subject', 1), '' order by t.ordinality) from jsonb_array_elements(pg_temp.page(9) -> 'tasks') with ordinality as t),
  '123', 'the dead letters, the newest first'
);
select is(
  (select string_agg(right(t ->> 'subject', 1), '') from jsonb_array_elements(
    (pg_temp.page(2) -> 'tasks') || (pg_temp.page(2, null, pg_temp.page(2) -> 'next') -> 'tasks')
  ) as t),
  '123', 'the next page goes on after it'
);
select is(pg_temp.page(3) -> 'next', 'null', 'there is none at the end');
select is(jsonb_array_length(pg_temp.page(9, 'store') -> 'tasks'), 1, 'a kind leaves out the others');
select is(
  (select k - 'oldest_due_seconds' from jsonb_array_elements(pg_temp.page(1) -> 'kinds') as k where k ->> 'kind' = 'delete_files'),
  '{"kind": "delete_files", "due": 1, "running": 0, "dead": 2}', 'each kind says what the queue has of it'
);
select ok(pg_temp.page(9)::text not like '%a secret%', 'nothing says what a task is done with');
select is(pg_temp.replay(1) #> '{data,task,failed_at}', 'null', 'a dead letter is tried again');
select is(
  (select t.attempts - t.uncounted_attempts from queue.tasks as t where t.subject = '00000000-0000-4000-8000-000000000101'), 0, 'with all its tries'
);
select is(
  (select count(*) from queue.claim(9, '00000000-0000-4000-8000-000000000101')), 1::bigint, 'at once'
);
select is(
  (select array_agg(a.subject || ' ' || a.reason || ' ' || (a.details ->> 'kind')) from ops.admin_actions as a where a.action = 'replay_task'),
  (select array['task ' || t.id || ' a test delete_files'] from queue.tasks as t where t.subject = '00000000-0000-4000-8000-000000000101'),
  'what was done is written down'
);
select is(pg_temp.replay(1) #>> '{details,status}', 'running', 'one that a worker has is not dead');
select is(pg_temp.replay(4) #>> '{details,status}', 'waiting', 'nor is one that waits');
select queue.add('delete_files', '00000000-0000-4000-8000-000000000102', null, now());
select is(pg_temp.replay(2) #>> '{details,status}', 'replaced', 'in the place of another is one that does the same');
select is(
  api.post_admin_queue('00000000-0000-4000-8000-000000000001', 'r', 0, 'a test') ->> 'error', 'ERR_4007', 'a task that is not there is not tried'
);
select is(
  array[
    api.get_admin_queue('00000000-0000-4000-8000-000000000002', 9) ->> 'error',
    api.post_admin_queue('00000000-0000-4000-8000-000000000002', 'r', 0, 'a test') ->> 'error'
  ],
  '{ERR_4006,ERR_4006}', 'who is no admin sees and does nothing'
);

select * from finish();
rollback;
