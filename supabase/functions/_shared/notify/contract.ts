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
import { optional } from "../request/validation.ts";

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

/** What an event says to its user in one language. */
export function wordsIn(
  language: Language,
  { type, data }: Pick<StoredNotification, "type" | "data">,
): Pick<Notification, "title" | "body"> {
  const texts = isEventType(type) ? eventTypes[type].texts ?? unknown : unknown;
  const { title, body } = texts[language];
  return { title: fillTemplate(title, data), body: fillTemplate(body, data) };
}

/** A notification with its words in one language. */
export function notificationIn(language: Language, notification: StoredNotification): Notification {
  return { ...notification, ...wordsIn(language, notification) };
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

const Channels = z.object({
  inbox: z.boolean(),
  /** Only of types of which devices are told. */
  push: z.optional(z.boolean()),
});

/** Of each type, by which channels its user wants to hear of it. */
export const NotificationPreferences = z.record(z.string(), Channels);
export type NotificationPreferences = z.infer<typeof NotificationPreferences>;

/** All are on, until their user switches one off. */
export function examplePreferences(): NotificationPreferences {
  return Object.fromEntries(
    told.map((name) => [name, { inbox: true, ...(channelsOf(name).includes("push") ? { push: true } : {}) }]),
  );
}

/** Of a type of which devices are told, and of one that stands in the inbox alone. */
export const ChannelChanges = z.strictObject({ inbox: optional(z.boolean()), push: optional(z.boolean()) });
const ofInbox = z.strictObject({ inbox: optional(z.boolean()) });

/** Changes of them: what is not named stays. */
export const NotificationPreferenceChanges = z.strictObject(
  Object.fromEntries(
    told.map((name) => [name, z.optional(channelsOf(name).includes("push") ? ChannelChanges : ofInbox)]),
  ),
);

/** Apple's name of an app on a device. Its length is Apple's to change: 64 digits today, and never more than 200. */
export const PushToken = z.string().check(
  z.regex(/^[0-9a-fA-F]{64,200}$/, "Must be 64 to 200 hexadecimal digits"),
  z.toLowerCase(),
);

/** Apple's two services, each with tokens of its own. */
export const PushEnvironment = z.enum(["production", "sandbox"]);
export type PushEnvironment = z.infer<typeof PushEnvironment>;

export const examplePushToken = "740f4707bebcf74f9b7c25d48e3358945f6aa01da5ddb387462c7eaf61bb78ad";
