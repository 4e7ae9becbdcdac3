-- SHA-256 over the hash of the account's previous entry, and all that this one says.
create function credits.entry_hash(
  p_previous bytea, p_transfer credits.transfers, p_account_id bigint, p_number bigint, p_balance_after bigint
)
returns bytea
language sql
stable
-- A null leaves its place empty, and nothing has a comma in it but the draws, which stand last: no two entries have the
-- same text. The time is eight bytes, whatever the session's time zone. Arguments of one type stand together, since each
-- change of types costs a look into the catalogue.
return sha256(p_previous || timestamptz_send((p_transfer).created_at) || format(
  '%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s',
  p_account_id, p_number, p_balance_after, (p_transfer).from_account_id, (p_transfer).to_account_id,
  (p_transfer).posting_id, (p_transfer).amount, (p_transfer).id, (p_transfer).owner_id, (p_transfer).job_id,
  (p_transfer).reverses_id, (p_transfer).kind, (p_transfer).draws
)::bytea);

create type credits.entry as (unit text, number bigint, balance bigint, hash bytea);

create function credits.apply_side(p_transfer credits.transfers, p_account_id bigint, p_amount bigint)
returns credits.entry
language plpgsql
volatile
set search_path = ''
as $$
-- What a transfer means to one of its accounts, which p_amount leaves or joins by its sign. A user's account gets the
-- entry that is returned; a system account of another unit is read and never locked, and has none.
declare
  v_entry credits.entry;
  v_kind credits.account_kind;
  v_draw credits.draw;
  v_drawn bigint := 0;
begin
  update credits.accounts as a
  -- A debt counts the other way round: it grows when credits leave through it.
  set balance = a.balance + case a.kind when 'owed' then -p_amount else p_amount end,
      entry_count = a.entry_count + 1,
      head_hash = credits.entry_hash(
        a.head_hash, p_transfer, a.id, a.entry_count + 1,
        a.balance + case a.kind when 'owed' then -p_amount else p_amount end
      )
  where a.id = p_account_id and a.owner_id = p_transfer.owner_id
  returning a.unit, a.kind, a.entry_count, a.balance, a.head_hash
  into v_entry.unit, v_kind, v_entry.number, v_entry.balance, v_entry.hash;
  if not found then
    select a.unit into v_entry.unit from credits.accounts as a where a.id = p_account_id and a.owner_id is null;
    if not found then
      raise exception 'transfer % names an account that is not its owner''s', p_transfer.id
        using errcode = 'check_violation';
    end if;
    return v_entry;
  end if;

  if v_kind = 'available' then
    -- Taken when credits leave, put back when they come: one by one, which is quicker for a few, or many at once.
    if cardinality(p_transfer.draws) > 8 then
      with drawn as (
        update credits.lots as l
        set remaining = l.remaining + sign(p_amount)::integer * d.amount
        from unnest(p_transfer.draws) as d (lot_id, amount)
        where l.id = d.lot_id and l.account_id = p_account_id and d.amount > 0
          and l.remaining + sign(p_amount)::integer * d.amount between 0 and l.amount
        returning d.amount
      )
      select coalesce(sum(d.amount), 0) * sign(p_amount) into v_drawn from drawn as d;
    else
      foreach v_draw in array p_transfer.draws loop
        exit when v_draw.amount < 1;
        if p_amount < 0 then
          v_draw.amount := -v_draw.amount;
        end if;
        update credits.lots as l
        set remaining = l.remaining + v_draw.amount
        where l.id = v_draw.lot_id and l.account_id = p_account_id
          and l.remaining + v_draw.amount between 0 and l.amount;
        exit when not found;
        v_drawn := v_drawn + v_draw.amount;
      end loop;
    end if;
    if v_drawn <> p_amount then
      raise exception 'transfer % does not draw its amount from lots of its account', p_transfer.id
        using errcode = 'check_violation';
    end if;
  end if;
  return v_entry;
end;
$$;

create function credits.apply_transfer()
returns trigger
language plpgsql
set search_path = ''
as $$
-- What a transfer means. Whoever inserts one has locked the user's account and decided; here only broken invariants
-- are left, and they raise check_violation.
declare
  v_from credits.entry;
  v_to credits.entry;
begin
  if new.from_account_id = new.to_account_id
    or (new.posting_id is null and new.job_id is null)
    or (new.kind = 'hold' and new.job_id is null)
    or (new.kind in ('capture', 'release') and new.reverses_id is null)
    or (new.kind = 'capture' and new.draws <> '{}')
  then
    raise exception 'transfer % contradicts itself', new.id using errcode = 'check_violation';
  end if;
  v_from.unit := 'credit';
  v_to.unit := 'credit';
  -- Those of the platform in credits are never changed: not even read.
  if not credits.is_system_account(new.from_account_id) then
    v_from := credits.apply_side(new, new.from_account_id, -new.amount);
  end if;
  if not credits.is_system_account(new.to_account_id) then
    v_to := credits.apply_side(new, new.to_account_id, new.amount);
  end if;
  if v_from.unit <> v_to.unit then
    raise exception 'transfer % crosses units', new.id using errcode = 'check_violation';
  end if;
  -- What has no user's side is under no hash: only captures, which are proved by their holds.
  if (new.kind = 'capture') <> (v_from.number is null and v_to.number is null) then
    raise exception 'transfer % is not between accounts of its kind', new.id using errcode = 'check_violation';
  end if;
  new.from_number := v_from.number;
  new.from_balance := v_from.balance;
  new.from_hash := v_from.hash;
  new.to_number := v_to.number;
  new.to_balance := v_to.balance;
  new.to_hash := v_to.hash;
  -- Of a hold whoever accepts has the answer. Asked here: a trigger's condition is read anew in every statement.
  if new.kind not in ('hold', 'capture', 'forfeit') then
    perform credits.tell(new);
  end if;
  return new;
end;
$$;

-- Keeps what is written as it was written.
create function credits.forbid()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  raise exception '% of credits.% is forbidden, for the owner too', lower(tg_op), tg_table_name
    using errcode = 'insufficient_privilege',
      hint = 'Post a compensating transfer instead.';
end;
$$;

create trigger apply before insert on credits.transfers for each row execute function credits.apply_transfer();
create trigger append_only before update or delete on credits.transfers
  for each row execute function credits.forbid();
create trigger no_truncate before truncate on credits.transfers
  for each statement execute function credits.forbid();
create trigger append_only before update or delete on credits.postings
  for each row execute function credits.forbid();
create trigger no_truncate before truncate on credits.postings
  for each statement execute function credits.forbid();
create trigger no_delete before delete on credits.accounts
  for each row execute function credits.forbid();
create trigger no_truncate before truncate on credits.accounts
  for each statement execute function credits.forbid();
create trigger no_delete before delete on credits.lots
  for each row execute function credits.forbid();
create trigger no_truncate before truncate on credits.lots
  for each statement execute function credits.forbid();
-- A balance or a lot moves only from inside apply_transfer: one trigger deep.
create trigger only_by_transfer
  before update of id, kind, owner_kind, owner_id, unit, balance, entry_count, head_hash on credits.accounts
  for each row when (pg_trigger_depth() = 0) execute function credits.forbid();
create trigger only_by_transfer before update of id, account_id, amount, remaining on credits.lots
  for each row when (pg_trigger_depth() = 0) execute function credits.forbid();
-- What was merged stays merged.
create trigger merged_once before update of merged_into on credits.accounts
  for each row when (old.merged_into is not null and new.merged_into is distinct from old.merged_into)
  execute function credits.forbid();
-- Accounts and lots start empty; only a transfer fills them. A user's has a balance, and the platform's have none.
create trigger starts_empty before insert on credits.accounts
  for each row when (
    coalesce(new.balance, 0) <> 0 or new.entry_count <> 0 or new.head_hash <> '\x'
    or (new.kind <= 'owed') <> (new.owner_id is not null) or (new.balance is null) <> (new.owner_id is null)
    or (new.owner_kind = 'system') <> (new.owner_id is null)
  )
  execute function credits.forbid();
create trigger starts_empty before insert on credits.lots
  for each row when (new.remaining <> 0) execute function credits.forbid();
