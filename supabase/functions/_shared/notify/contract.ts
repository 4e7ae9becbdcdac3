/** What the domain shows: notifications, and what users want to hear of. */
import * as z from "zod/mini";
import { exampleIds } from "../endpoint/example-ids.ts";
import { fillTemplate, type Language } from "../errors/languages.ts";
import {
  channelsOf,
  type EventTypeName,
  eventTypeNames,
  eventTypes,
  isEventType,
} from "../events/catalogue.ts";

const timestamp = z.iso.datetime({ precision: 3 });

export const Notification = z.object({
  id: z.uuid(),
  /** Of docs/events.md; there will be more. */
  type: z.string(),
  /** In the language of the answer. */
  title: z.string(),
  body: z.string(),
  /** What the event said, for what a tap opens. */
  data: z.looseObject({}),
  read_at: z.nullable(timestamp),
  created_at: timestamp,
});
export type Notification = z.infer<typeof Notification>;

/** As the database tells it: without words. */
export const StoredNotification = z.omit(Notification, { title: true, body: true });
export type StoredNotification = z.infer<typeof StoredNotification>;

/** Of a type that this function does not know, since the database is newer. */
const unknown: Readonly<Record<Language, { readonly title: string; readonly body: string }>> = {
  en: { title: "There is news", body: "Something in your account has changed." },
  tr: { title: "Bir yenilik var", body: "Hesabınızda bir şey değişti." },
  es: { title: "Hay novedades", body: "Algo ha cambiado en tu cuenta." },
};

/** A notification with its words in one language. */
export function notificationIn(language: Language, notification: StoredNotification): Notification {
  const { type, data } = notification;
  const texts = isEventType(type) ? eventTypes[type].texts ?? unknown : unknown;
  const { title, body } = texts[language];
  return { ...notification, title: fillTemplate(title, data), body: fillTemplate(body, data) };
}

/** One that is unread. */
export function exampleNotification(): Notification {
  return notificationIn("en", {
    id: exampleIds.notification,
    type: "video.completed",
    data: { ...eventTypes["video.completed"].example() },
    read_at: null,
    created_at: "2026-11-21T12:01:31.000Z",
  });
}

/** The types that a user may be told of, and so switch off. */
const told: readonly EventTypeName[] = eventTypeNames.filter((name) => channelsOf(name).length > 0);

const Channels = z.object({ inbox: z.boolean() });

/** Of each type, by which channels its user wants to hear of it. */
export const NotificationPreferences = z.record(z.string(), Channels);
export type NotificationPreferences = z.infer<typeof NotificationPreferences>;

/** All are on, until their user switches one off. */
export function examplePreferences(): NotificationPreferences {
  return Object.fromEntries(told.map((name) => [name, { inbox: true }]));
}

/** Changes of them: what is not named stays. */
export const NotificationPreferenceChanges = z.partialRecord(
  z.enum(told),
  z.strictObject({ inbox: z.boolean() }),
);
