create function purchases.tell()
returns trigger
language plpgsql
set search_path = ''
as $$
-- Tells that a purchase was credited, and that Apple has taken more of it back. Of a closed account there is nobody to tell,
-- and what were written after its erasure would stay.
declare
  v_is_new constant boolean := old.credited_at is null;
begin
  if purchases.is_closed(new.owner_id) then
    return null;
  end if;
  if v_is_new then
    perform events.publish('purchase.credited', new.owner_id, jsonb_build_object(
      'transaction_id', new.transaction_id, 'product_id', new.product_id, 'credits', new.credits
    ));
  end if;
  if new.revoked_share > (case when v_is_new then 0 else old.revoked_share end) then
    perform events.publish('purchase.refunded', new.owner_id, jsonb_build_object(
      'transaction_id', new.transaction_id, 'product_id', new.product_id, 'credits', purchases.to_take_back(new)
    ));
  end if;
  return null;
end;
$$;

create trigger tell after update on purchases.transactions
  for each row when (
    -- A period that costs nothing may bring nothing: there is nothing to tell of.
    new.credits > 0
    and (new.credited_at, new.revoked_share) is distinct from (old.credited_at, old.revoked_share)
  )
  execute function purchases.tell();
