create function videos.refusal_of_all(p_refusal jsonb, p_index integer, p_held bigint)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
-- What accept_video said against an item, as the answer to a request that has it among others: where in it the fault is,
-- and of credits what the items before it take as well, since none of them is held.
declare
  v_details jsonb := p_refusal -> 'details';
begin
  if v_details ? 'fields' then
    v_details := jsonb_set(v_details, '{fields}', (
      select jsonb_agg(f.field || jsonb_build_object('path', format('items[%s].%s', p_index, f.field ->> 'path')))
      from jsonb_array_elements(v_details -> 'fields') as f (field)
    ));
  end if;
  if v_details ? 'required' then
    v_details := v_details || jsonb_build_object(
      'required', (v_details ->> 'required')::bigint + p_held, 'available', (v_details ->> 'available')::bigint + p_held
    );
  end if;
  return p_refusal || jsonb_build_object('details', v_details);
end;
$$;

create function videos.is_about_caller(p_refusal jsonb)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
-- Whether what accept_video said holds for whatever else the caller may ask for now, and tells nothing about the video.
begin
  return p_refusal ->> 'error' in (
      core.error_code('auth/unauthenticated'), core.error_code('auth/suspended'), core.error_code('database/unavailable')
    )
    or p_refusal ->> 'error' = core.error_code('feature/switched-off') and not ops.is_enabled('generation');
end;
$$;

create function videos.accept_videos(
  p_user_id uuid, p_network text, p_request_id text, p_mode text, p_items jsonb, p_providers text[],
  p_moderated_by text
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
-- Accepts several videos, each as accept_video does, in their order. In the mode `all` every one or none: the first
-- refusal undoes what was accepted before it, and has the `index` of its item among its details. In the mode `any` each by
-- itself; only what is about the caller, or the limit that the first item meets, refuses the whole, so that the same key may
-- be used again. Every item counts in the limits, as an attempt also where it was undone; but where the attempts are too
-- many, none does. `data`: `{ results, credits_used, credits_remaining }`, results being `{ index, job_id, credits_used }` or
-- `{ index, error: { code, details } }`. Locks: those of accept_video.
declare
  v_most integer;
  v_item record;
  v_accepted record;
  v_outcome jsonb;
  v_refusal jsonb;
  v_taken guard.taken;
  v_results jsonb := '[]';
  v_used bigint := 0;
  v_remaining bigint;
  -- By their policies, which are then in the order of accept_video: jsonb sorts keys by their length.
  v_limits jsonb := '{}';
begin
  if p_mode not in ('all', 'any') then
    raise exception 'there is no mode %', p_mode using errcode = 'invalid_parameter_value';
  end if;
  -- Of more, not all could ever be accepted.
  select p.admits into v_most from guard.policies as p where p.name = 'video_generation';
  if jsonb_array_length(p_items) > v_most then
    v_taken := guard.take(
      '{generation_attempts,generation_attempts_network}', p_user_id, p_network, 'generate-video'
    );
    return coalesce(v_taken.refusal, guard.refusal('request/malformed', jsonb_build_object('fields', jsonb_build_array(
      jsonb_build_object('path', 'items', 'message', format('Must have at most %s items', v_most))
    )), guard.limits_json(v_taken.limits)));
  end if;

  begin
    for v_item in
      select (i.number - 1)::integer as index, r.*
      from jsonb_array_elements(p_items) with ordinality as i (item, number)
      cross join lateral jsonb_to_record(i.item) as r (
        model_id uuid, prompt text, settings jsonb, image_url text, client_reference text, project_id uuid,
        image_upload_id uuid, source_job_id uuid
      )
      order by i.number
    loop
      v_accepted := videos.accept_video(
        p_user_id, p_network, p_request_id, v_item.model_id, v_item.prompt, coalesce(v_item.settings, '{}'),
        v_item.image_url, p_providers, v_item.client_reference, p_moderated_by, v_item.project_id,
        v_item.image_upload_id, v_item.source_job_id
      );
      v_outcome := v_accepted.outcome;
      if v_outcome ? 'data' then
        v_used := v_used + (v_outcome #>> '{data,credits_used}')::bigint;
        v_remaining := (v_outcome #>> '{data,credits_remaining}')::bigint;
        v_results := v_results || jsonb_build_object(
          'index', v_item.index, 'job_id', v_outcome #> '{data,job_id}', 'credits_used', v_outcome #> '{data,credits_used}'
        );
      else
        v_refusal := videos.refusal_of_all(v_outcome, v_item.index, case p_mode when 'all' then v_used else 0 end)
          || jsonb_build_object('limits', guard.limits_json(v_accepted.limits));
        if p_mode = 'all' then
          if not videos.is_about_caller(v_refusal) then
            v_refusal := jsonb_set(v_refusal, '{details,index}', to_jsonb(v_item.index));
          end if;
          -- Undoes what the items before it came to.
          raise exception 'refused';
        elsif v_item.index = 0 and (
          videos.is_about_caller(v_refusal) or v_refusal ->> 'error' = core.error_code('limit/rate-exceeded')
        ) then
          return v_refusal;
        end if;
        v_results := v_results || jsonb_build_object(
          'index', v_item.index,
          'error', jsonb_build_object('code', v_refusal -> 'error', 'details', v_refusal -> 'details')
        );
        v_refusal := null;
      end if;
      v_limits := v_limits || (
        select coalesce(jsonb_object_agg(l.state ->> 'policy', l.state), '{}')
        from jsonb_array_elements(guard.limits_json(v_accepted.limits)) as l (state)
      );
    end loop;
  exception
    when raise_exception then
      if v_refusal is null then
        raise;
      end if;
  end;

  if v_refusal is not null then
    -- It is undone, and was tried all the same.
    if coalesce(v_refusal #>> '{details,policy}', '') not like 'generation_attempts%' then
      v_limits := '[]';
      for v_number in 1 .. jsonb_array_length(p_items) loop
        v_taken := guard.take(
          '{generation_attempts,generation_attempts_network}', p_user_id, p_network, 'generate-video'
        );
        exit when v_taken.refusal is not null;
        v_limits := guard.limits_json(v_taken.limits);
      end loop;
      v_refusal := v_refusal || jsonb_build_object('limits', v_limits);
    end if;
    return v_refusal;
  end if;
  return guard.answer(
    jsonb_build_object(
      'results', v_results, 'credits_used', v_used,
      'credits_remaining', coalesce(v_remaining, (credits.lock_account(p_user_id)).balance)
    ),
    (select jsonb_agg(l.state) from jsonb_each(v_limits) as l (policy, state))
  );
end;
$$;
