/** What is made from the catalogue of events: the types of SQL, and the table of docs/events.md. */
import {
  channelsOf,
  type EventType,
  eventType,
  eventTypeNames,
} from "../../supabase/functions/_shared/events/catalogue.ts";
import { replaceParts, table } from "./markdown.ts";

export const eventTypesFile = new URL("../../supabase/schemas/events/types.sql", import.meta.url);
export const eventsDocumentFile = new URL("../../docs/events.md", import.meta.url);

/** `supabase/schemas/events/types.sql`: what the procedures need of the catalogue. */
export function eventTypesSchema(): string {
  const rows = eventTypeNames.map((name) =>
    `  row('${name}', '${eventType(name).keepDays} days', '{${channelsOf(name).join(",")}}')::events.type`
  );
  return `-- Made from the catalogue in supabase/functions/_shared/events/catalogue.ts by \`deno task generate\`.

-- A type of event, how long it is kept in the log, and the channels by which its user may be told.
create type events.type as (type text, keep interval, channels text[]);

-- Every type that there is.
create function events.types()
returns events.type[]
language sql
stable
return array[
${rows.join(",\n")}
];
`;
}

function pushed(push: EventType["push"]): string {
  return push === undefined ? "" : `priority ${push.priority}, for ${push.keepHours} hours`;
}

/** docs/events.md with its generated parts made anew from the catalogue. */
export function eventsDocument(before: string): string {
  const rows = eventTypeNames.map((name) => {
    const { when, keepDays, texts, push } = eventType(name);
    const days = `${keepDays} ${keepDays === 1 ? "day" : "days"}`;
    return [`\`${name}\``, when, texts === null ? "" : `“${texts.en.title}”`, pushed(push), days];
  });
  const examples = eventTypeNames.flatMap((name) => [
    `\`${name}\``,
    "",
    "```json",
    JSON.stringify(eventType(name).example(), null, 2),
    "```",
    "",
  ]);
  return replaceParts(before, {
    catalogue: table(["type", "when", "its user is told", "pushed", "kept"], rows).join("\n"),
    examples: examples.join("\n"),
  });
}
