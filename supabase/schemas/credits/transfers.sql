-- SHA-256 over the previous entry's hash and this entry's content.
create function credits.entry_hash(
  p_previous bytea, p_account_id bigint, p_number bigint, p_transfer_id uuid, p_amount bigint,
  p_balance_after bigint, p_created_at timestamptz
)
returns bytea
language sql
stable
-- The time counts in microseconds, so that the text does not depend on the session's time zone.
return sha256(p_previous || convert_to(concat_ws(
  '|', p_account_id, p_number, p_transfer_id, p_amount, p_balance_after,
  (extract(epoch from p_created_at) * 1000000)::bigint
), 'UTF8'));

create function credits.apply_transfer()
returns trigger
language plpgsql
set search_path = ''
as $$
-- What a transfer means. Whoever inserts one has locked the user's account and decided; here only broken invariants
-- are left, and they raise check_violation. System accounts are read and never locked.
declare
  v_account credits.accounts;
  v_unit text;
  v_sides integer := 0;
  v_signed bigint;
  v_drawn bigint := 0;
begin
  for v_account in
    select a.* from credits.accounts as a where a.id in (new.from_account_id, new.to_account_id) order by a.id
  loop
    v_sides := v_sides + 1;
    v_unit := coalesce(v_unit, v_account.unit);
    if v_account.unit <> v_unit then
      raise exception 'transfer % crosses units', new.id using errcode = 'check_violation';
    end if;
    if v_account.owner_id <> new.owner_id then
      raise exception 'transfer % is not of the owner of its account', new.id using errcode = 'check_violation';
    end if;
    v_signed := case v_account.id when new.to_account_id then new.amount else -new.amount end;
    if v_account.owner_id is null then
      insert into credits.entries (transfer_id, account_id, amount, created_at)
      values (new.id, v_account.id, v_signed, new.created_at);
      continue;
    end if;

    -- A debt counts the other way round: it grows when credits leave through it.
    v_account.balance := v_account.balance + case v_account.kind when 'owed' then -v_signed else v_signed end;
    v_account.entry_count := v_account.entry_count + 1;
    v_account.head_hash := credits.entry_hash(
      v_account.head_hash, v_account.id, v_account.entry_count, new.id, v_signed, v_account.balance, new.created_at
    );
    update credits.accounts as a
    set balance = v_account.balance, entry_count = v_account.entry_count, head_hash = v_account.head_hash
    where a.id = v_account.id and a.entry_count = v_account.entry_count - 1;
    if not found then
      raise exception 'account % was not locked before transfer %', v_account.id, new.id using errcode = 'check_violation';
    end if;
    insert into credits.entries (transfer_id, account_id, amount, number, balance_after, hash, created_at)
    values (
      new.id, v_account.id, v_signed, v_account.entry_count, v_account.balance, v_account.head_hash, new.created_at
    );

    if v_account.kind = 'available' then
      -- Taken when credits leave, put back when they come.
      with drawn as (
        update credits.lots as l
        set remaining = l.remaining + sign(v_signed)::integer * d.amount
        from unnest(new.draws) as d (lot_id, amount)
        where l.id = d.lot_id and l.account_id = v_account.id and d.amount > 0
        returning d.amount
      )
      select coalesce(sum(d.amount), 0) into v_drawn from drawn as d;
      if v_drawn <> new.amount then
        raise exception 'transfer % does not draw its amount from lots of its account', new.id
          using errcode = 'check_violation';
      end if;
    end if;
  end loop;
  if v_sides <> 2 then
    raise exception 'transfer % names an account that is not there', new.id using errcode = 'check_violation';
  end if;
  return null;
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

create trigger apply after insert on credits.transfers for each row execute function credits.apply_transfer();
create trigger append_only before update or delete on credits.transfers
  for each row execute function credits.forbid();
create trigger no_truncate before truncate on credits.transfers
  for each statement execute function credits.forbid();
create trigger append_only before update or delete on credits.entries
  for each row execute function credits.forbid();
create trigger no_truncate before truncate on credits.entries
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
-- An entry is written, and a balance or a lot moves, only from inside apply_transfer: one trigger deep.
create trigger only_by_transfer before insert on credits.entries
  for each row when (pg_trigger_depth() = 0) execute function credits.forbid();
create trigger only_by_transfer
  before update of id, kind, owner_kind, owner_id, unit, balance, entry_count, head_hash on credits.accounts
  for each row when (pg_trigger_depth() = 0) execute function credits.forbid();
create trigger only_by_transfer before update of id, account_id, amount, remaining on credits.lots
  for each row when (pg_trigger_depth() = 0) execute function credits.forbid();
-- Accounts and lots start empty; only a transfer fills them.
create trigger starts_empty before insert on credits.accounts
  for each row when (coalesce(new.balance, 0) <> 0 or new.entry_count <> 0 or new.head_hash <> '\x')
  execute function credits.forbid();
create trigger starts_empty before insert on credits.lots
  for each row when (new.remaining <> 0) execute function credits.forbid();
