create function purchases.consumption_of(p_transaction purchases.transactions)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
-- What Apple is told of a purchase whose refund is asked for, in Apple's own words. `consumptionPercentage`: the share of
-- its credits that became videos, in thousandths of a percent, exactly as the ledger's draws say, rounded down.
-- `refundPreference`: nothing used, grant it; all used, decline; else what is left. A sample was free where the user had
-- credits that nobody paid for.
declare
  v_used record;
  v_share integer;
begin
  select coalesce(sum(u.captured), 0) as captured, coalesce(sum(u.released), 0) as released into v_used
  from credits.use_of((p_transaction).transfer_id) as u;
  v_share := case
    when coalesce((p_transaction).credits, 0) = 0 then 0
    else least(100000, div(v_used.captured * 100000, (p_transaction).credits))
  end;
  return jsonb_build_object(
    'customerConsented', true,
    'consumptionPercentage', v_share,
    'deliveryStatus', case
      when (p_transaction).credited_at is null then 'UNDELIVERED_OTHER'
      -- Every video that was paid with it failed, and the credits came back.
      when v_used.captured = 0 and v_used.released > 0 then 'UNDELIVERED_SERVER_OUTAGE'
      else 'DELIVERED'
    end,
    'refundPreference', case
      when v_share = 0 then 'GRANT_FULL' when v_share = 100000 then 'DECLINE' else 'GRANT_PRORATED'
    end,
    'sampleContentProvided', exists (select from devices.grants as g where g.user_id = any (accounts.with_guests((p_transaction).owner_id)))
  );
end;
$$;
