-- A text folded so that one spelling stands for all that look like it: without case, accents, the dot of an i, width and
-- invisible characters, and in Latin letters where Cyrillic and Greek ones look like them.
create function videos.folded(p_text text)
returns text
language sql
immutable
return case
  -- ASCII, as nearly all prompts in English are.
  when octet_length(p_text) = char_length(p_text) then lower(p_text collate pg_catalog.pg_c_utf8)
  else translate(
    lower(
      -- Decomposed, so that accents are characters of their own. They go, and so does whatever is not seen.
      regexp_replace(
        normalize(p_text, nfkd),
        '[\u00AD\u0300-\u036F\u0483-\u0489\u061C\u064B-\u065F\u0670\u115F\u1160\u17B4\u17B5\u180B-\u180F\u1AB0-\u1AFF'
          '\u1DC0-\u1DFF\u200B-\u200F\u202A-\u202E\u2060-\u206F\u20D0-\u20FF\u3164\uFE00-\uFE0F\uFE20-\uFE2F\uFEFF'
          '\U000E0000-\U000E01EF]+', '', 'g'
      ) collate pg_catalog.pg_c_utf8
    ),
    'ıøłđаеорсухіјѕѵԁɡαορυνικτ', 'ioldaeopcyxijsvdgaopuvikt'
  )
end;

create function videos.words_of(p_text text)
returns text[]
language plpgsql
immutable
set search_path = ''
as $$
-- The words of a text, folded.
begin
  return regexp_split_to_array(videos.folded(p_text) collate pg_catalog.pg_c_utf8, '[^[:alnum:]]+');
end;
$$;

create table videos.moderation_terms (
  id bigint generated always as identity primary key,
  -- Whose words these are, for whoever keeps the lists. A prompt does not tell its language, so all are asked.
  language text not null default 'all' check (language in ('all', 'en', 'tr', 'es')),
  -- Words that all stand in the prompt, in any order; `kid|child*` is one word: kid, or any that begins with child.
  pattern text not null unique check (char_length(btrim(pattern)) between 1 and 1000),
  -- `flag` lets the job pass and notes the reason in videos.jobs.flag: the trial of a new term. `allow` is a phrase, its
  -- words one after the other: where it stands they mean nothing to the other terms. "The naked eye" is naked nowhere.
  action text not null default 'refuse' check (action in ('refuse', 'flag', 'allow')),
  -- For the operator; the user only learns that it is against the policy.
  reason text not null
);
alter table videos.moderation_terms enable row level security;
comment on table videos.moderation_terms is
  'What a prompt must not say. The operator edits the rows, and they hold from the next prompt on.';

create table videos.moderation_words (
  term_id bigint not null references videos.moderation_terms on delete cascade,
  -- Which word of its pattern it stands for, and of how many.
  place integer not null,
  places integer not null,
  action text not null,
  word text not null,
  is_prefix boolean not null,
  -- What finds it, however many there are and whatever they have in common: the word, or a beginning of words.
  key text not null generated always as (case when is_prefix then word || '*' else word end) stored,
  primary key (term_id, place, word, is_prefix)
);
alter table videos.moderation_words enable row level security;
create index moderation_words_key on videos.moderation_words (key);
comment on table videos.moderation_words is 'moderation_terms, word by word; a trigger keeps it.';

create function videos.index_moderation_term()
returns trigger
language plpgsql
volatile
set search_path = ''
as $$
-- Writes the words of a term anew. Raises check_violation for a pattern that is not one.
declare
  v_places constant text[] := regexp_split_to_array(btrim(new.pattern), '\s+');
  v_alternative text;
  v_is_prefix boolean;
  v_words text[];
begin
  delete from videos.moderation_words as w where w.term_id = new.id;
  for v_place in 1 .. cardinality(v_places) loop
    foreach v_alternative in array string_to_array(v_places[v_place], '|') loop
      v_is_prefix := right(v_alternative, 1) = '*';
      v_words := videos.words_of(rtrim(v_alternative, '*'));
      if cardinality(v_words) <> 1 or v_words[1] = '' then
        raise check_violation using
          message = format('"%s" is not one word', v_alternative),
          hint = 'A pattern is words, such as: kid|child* naked|nude';
      elsif v_is_prefix and char_length(v_words[1]) < 3 then
        raise check_violation using
          message = format('"%s" begins too many words', v_alternative), hint = 'Write three letters or more before a *.';
      elsif v_is_prefix and char_length(v_words[1]) > 30 then
        -- So many beginnings of a word are looked up.
        raise check_violation using
          message = format('"%s" is too long', v_alternative), hint = 'Write thirty letters or less before a *.';
      end if;
      insert into videos.moderation_words (term_id, place, places, action, word, is_prefix)
      values (new.id, v_place, cardinality(v_places), new.action, v_words[1], v_is_prefix)
      on conflict do nothing;
    end loop;
  end loop;
  return null;
end;
$$;

create trigger index_moderation_term after insert or update on videos.moderation_terms
  for each row execute function videos.index_moderation_term();

-- What lets most prompts pass without a look at their words.
create table videos.moderation_filters (
  action text primary key,
  -- A regular expression that finds a word's beginning in whatever a term with that action matches, and in little else.
  pattern text not null
);
alter table videos.moderation_filters enable row level security;
comment on table videos.moderation_filters is 'moderation_words as one pattern an action; a trigger keeps it.';

create function videos.filter_moderation_words()
returns trigger
language plpgsql
volatile
set search_path = ''
as $$
-- Writes the patterns anew, once a statement. Locks: moderation_filters, so that two who edit terms at once know of each
-- other's.
begin
  lock table videos.moderation_filters in share row exclusive mode;
  delete from videos.moderation_filters where true;
  insert into videos.moderation_filters (action, pattern)
  select w.action, format('(^|[^[:alnum:]])(%s)', string_agg(distinct left(w.word, 3), '|'))
  from (
    -- A term matches only with all its words, so one of them will do: that with the fewest spellings lets most pass.
    select w.*, rank() over (partition by w.term_id order by s.spellings, w.place desc) as choice
    from videos.moderation_words as w
    join (
      select w.term_id, w.place, count(*) as spellings from videos.moderation_words as w group by w.term_id, w.place
    ) as s on s.term_id = w.term_id and s.place = w.place
  ) as w
  where w.choice = 1
  group by w.action;
  return null;
end;
$$;

-- After index_moderation_term, which is for each row.
create trigger filter_moderation_words after insert or update or delete or truncate on videos.moderation_terms
  for each statement execute function videos.filter_moderation_words();

-- What finds the terms' words among these, by the place of each: the word, and all its beginnings.
create function videos.keys_of(p_words text[])
returns table (place bigint, key text)
language sql
immutable
begin atomic
  select w.place, k.key
  from unnest(p_words) with ordinality as w (word, place)
  cross join lateral (
    select w.word as key
    union all
    select left(w.word, n) || '*' from generate_series(3, least(30, char_length(w.word))) as n
  ) as k;
end;

create function videos.matching_terms(p_words text[], p_action text)
returns bigint[]
language plpgsql
stable
set search_path = ''
as $$
-- The terms with that action whose words are all among these.
begin
  return array(
    select w.term_id
    from (select distinct k.key from videos.keys_of(p_words) as k) as s
    join videos.moderation_words as w on w.key = s.key
    where w.action = p_action
    group by w.term_id, w.places
    having count(distinct w.place) = w.places
  );
end;
$$;

create function videos.without_allowed(p_words text[])
returns text[]
language plpgsql
stable
set search_path = ''
as $$
-- Words, without those that stand in an allowed phrase.
declare
  -- Those that can stand there at all.
  v_phrases constant bigint[] := videos.matching_terms(p_words, 'allow');
begin
  return array(
    with phrases as (
      select s.place - w.place + 1 as first_place, w.places
      from videos.moderation_words as w
      join videos.keys_of(p_words) as s on s.key = w.key
      where w.term_id = any (v_phrases)
      group by s.place - w.place + 1, w.term_id, w.places
      having count(distinct w.place) = w.places
    )
    select w.word
    from unnest(p_words) with ordinality as w (word, place)
    where not exists (
      select from phrases as p where w.place between p.first_place and p.first_place + p.places - 1
    )
    order by w.place
  );
end;
$$;

create function videos.find_moderation_term(p_prompt text, p_action text)
returns bigint
language plpgsql
stable
set search_path = ''
as $$
-- A term with that action that the prompt matches, or null. What it costs grows with the prompt, hardly with the terms.
declare
  v_pattern text;
  v_words text[];
  v_term_id bigint;
begin
  select f.pattern into v_pattern from videos.moderation_filters as f where f.action = p_action;
  if not found or videos.folded(p_prompt) collate pg_catalog.pg_c_utf8 !~ v_pattern then
    return null;
  end if;
  -- Few prompts come so far.
  v_words := videos.words_of(p_prompt);
  v_term_id := (videos.matching_terms(v_words, p_action))[1];
  -- No phrase goes on beyond a comma or a full stop: a letter that no prompt has stands there.
  if v_term_id is not null then
    v_words := videos.words_of(regexp_replace(p_prompt, '[.,;:!?()¡¿…]+', ' ǁ ', 'g'));
    v_term_id := (videos.matching_terms(videos.without_allowed(v_words), p_action))[1];
  end if;
  return v_term_id;
end;
$$;
