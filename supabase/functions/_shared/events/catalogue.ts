/**
 * The catalogue: every type of event, declared here and nowhere else. The types of SQL, the table in docs/events.md and the
 * tests are made from it. Types are added at the end, and never renamed or taken away.
 */
import * as z from "zod/mini";
import { transactionKinds } from "../credits/contract.ts";
import { exampleIds } from "../endpoint/example-ids.ts";
import { isErrorCode } from "../errors/error-codes.ts";
import { languages } from "../errors/languages.ts";
import { exampleReport, Report } from "../ops/reports.ts";
import { exampleJob, Job, JobStage } from "../videos/contract.ts";

/** A title and a body of each language; placeholders are members of the event's data. They avoid plurals, and hold no prompt. */
const words = z.object({ title: z.string(), body: z.string() });
const Texts = z.record(z.enum(languages), words);
export type Texts = z.infer<typeof Texts>;

export interface EventType {
  /** When there is one, for the document. */
  readonly when: string;
  readonly data: z.ZodMiniType;
  readonly example: () => unknown;
  /** How long it stays in the log. */
  readonly keepDays: number;
  /** What its user is told of it; null where they are not. */
  readonly texts: Texts | null;
  /** How its user's devices are told; without it they are not. */
  readonly push?: Push;
}

export interface Push {
  /** Of APNs: 10 wakes the device at once, 5 when that costs it least. */
  readonly priority: 5 | 10;
  /** How long Apple keeps it for a device that is away. */
  readonly keepHours: number;
}

const credits = z.int().check(z.nonnegative());
const timestamp = z.iso.datetime({ precision: 3 });

const Progress = z.strictObject({
  job_id: z.uuid(),
  stage: JobStage,
  percent: z.nullable(z.int().check(z.minimum(0), z.maximum(100))),
});

/** A job as `video-status` shows it, without what the user wrote and what opens its files. The error's message has a language. */
const EndedJob = z.strictObject({
  ...z.omit(Job, {
    prompt: true,
    video_url: true,
    video_url_expires_at: true,
    thumbnail_url: true,
    retry_after: true,
  }).shape,
  /** Of the size alone: a model's own inputs may be texts. */
  settings: z.strictObject({ duration_seconds: z.int(), resolution: z.string(), aspect_ratio: z.string() }),
  error: z.nullable(z.strictObject({
    code: z.string().check(z.refine(isErrorCode, "Must be a code of the registry")),
    details: z.looseObject({}),
  })),
});

const Alert = z.strictObject({
  alert_id: z.uuid(),
  rule: z.string(),
  subject: z.string(),
  level: z.enum(["warning", "critical"]),
  /** Null of what was met, and not measured by a rule. */
  metric: z.nullable(z.string()),
  value: z.nullable(z.number()),
  threshold: z.nullable(z.number()),
});

const StoreTransaction = z.strictObject({ transaction_id: z.string(), product_id: z.string(), credits });

const {
  prompt: _prompt,
  video_url: _video,
  video_url_expires_at: _expiry,
  thumbnail_url: _thumbnail,
  ...ended
} = exampleJob();
const purchase = {
  transaction_id: "2000000123456789",
  product_id: "com.example.kinora.credits_50",
  credits: 50,
};

const alert = {
  alert_id: "019ab3f2-5c1e-7d40-9f67-3b1f0c5f2b10",
  rule: "provider_refuses",
  subject: "fal",
  level: "warning",
  metric: null,
  value: null,
  threshold: null,
};

export const eventTypes = {
  "video.submitted": {
    when: "a provider took the job",
    data: Progress,
    example: () => ({ job_id: exampleIds.job, stage: "submitted", percent: null }),
    keepDays: 7,
    texts: null,
  },
  "video.started": {
    when: "a provider began it; one that does not tell begins when it takes it",
    data: Progress,
    example: () => ({ job_id: exampleIds.job, stage: "generating", percent: null }),
    keepDays: 7,
    texts: null,
  },
  "video.progressed": {
    when: "a provider reported the next tenth",
    data: Progress,
    example: () => ({ job_id: exampleIds.job, stage: "generating", percent: 40 }),
    keepDays: 1,
    texts: null,
  },
  "video.completed": {
    when: "the video is stored and paid for",
    data: EndedJob,
    example: () => ended,
    keepDays: 30,
    texts: {
      en: {
        title: "Your video is ready",
        body: "The video that you made with {model_name} is ready to watch.",
      },
      tr: { title: "Videonuz hazır", body: "{model_name} ile oluşturduğunuz video izlenmeye hazır." },
      es: { title: "Tu vídeo está listo", body: "El vídeo que has creado con {model_name} ya se puede ver." },
    },
    // Whoever waits for a video has gone elsewhere; a day later they have looked.
    push: { priority: 10, keepHours: 24 },
  },
  "video.failed": {
    when: "there will be no video; its credits are back",
    data: EndedJob,
    example: () => ({
      ...ended,
      status: "failed",
      credits_used: 0,
      error: { code: "ERR_5002", details: {} },
    }),
    keepDays: 30,
    texts: {
      en: {
        title: "Your video could not be made",
        body: "The video with {model_name} could not be made. Its credits are back in your balance.",
      },
      tr: {
        title: "Videonuz oluşturulamadı",
        body: "{model_name} ile istediğiniz video oluşturulamadı. Kredileriniz bakiyenize geri yüklendi.",
      },
      es: {
        title: "No se ha podido crear tu vídeo",
        body: "No se ha podido crear el vídeo con {model_name}. Sus créditos vuelven a estar en tu saldo.",
      },
    },
    push: { priority: 10, keepHours: 24 },
  },
  "video.cancelled": {
    when: "its user, or the end of their account, cancelled it; its credits are back",
    data: EndedJob,
    example: () => ({
      ...ended,
      status: "cancelled",
      credits_used: 0,
      cancel_requested_at: "2026-11-21T12:00:30.000Z",
    }),
    keepDays: 30,
    texts: null,
  },
  "credits.changed": {
    when: "the balance moved, other than by a hold",
    data: z.strictObject({
      credits_remaining: credits,
      amount: z.int(),
      kind: z.enum(transactionKinds),
      job_id: z.nullable(z.uuid()),
    }),
    example: () => ({ credits_remaining: 10, amount: 10, kind: "grant", job_id: null }),
    keepDays: 30,
    texts: null,
  },
  "purchase.credited": {
    when: "a store transaction was credited",
    data: StoreTransaction,
    example: () => purchase,
    keepDays: 90,
    texts: {
      en: { title: "Your credits have arrived", body: "Credits of your purchase: {credits}." },
      tr: { title: "Kredileriniz yüklendi", body: "Satın alma işleminizin kredisi: {credits}." },
      es: { title: "Tus créditos han llegado", body: "Créditos de tu compra: {credits}." },
    },
    push: { priority: 5, keepHours: 72 },
  },
  "purchase.refunded": {
    when: "the store took a transaction back, or more of it; `credits` is all that was taken of it",
    data: StoreTransaction,
    example: () => purchase,
    keepDays: 90,
    texts: {
      en: { title: "A purchase was refunded", body: "Credits that were taken back with it: {credits}." },
      tr: { title: "Bir satın alma iade edildi", body: "Onunla birlikte geri alınan kredi: {credits}." },
      es: {
        title: "Se ha reembolsado una compra",
        body: "Créditos que se han retirado con ella: {credits}.",
      },
    },
    push: { priority: 5, keepHours: 72 },
  },
  "account.closed": {
    when: "an account was closed; it is about nobody any more, so that it outlives what is erased",
    data: z.strictObject({ user_id: z.guid(), closed_at: timestamp }),
    example: () => ({ user_id: exampleIds.user, closed_at: "2026-11-21T12:30:00.000Z" }),
    keepDays: 90,
    texts: null,
  },
  "account.merged": {
    when: "a guest became a part of this account; `is_recovery`: they were found again, and had no token",
    data: z.strictObject({
      user_id: z.guid(),
      merged_user_id: z.guid(),
      credits_moved: credits,
      jobs_moved: z.int().check(z.nonnegative()),
      credits_remaining: credits,
      is_recovery: z.boolean(),
    }),
    example: () => ({
      user_id: exampleIds.user,
      merged_user_id: "8d1e0a52-7c3b-4f86-9a41-d05be3f7c219",
      credits_moved: 6,
      jobs_moved: 2,
      credits_remaining: 16,
      is_recovery: true,
    }),
    keepDays: 90,
    texts: {
      en: {
        title: "What was yours as a guest is here",
        body: "Videos that came with it: {jobs_moved}. Credits: {credits_moved}.",
      },
      tr: {
        title: "Misafirken sizin olanlar burada",
        body: "Onunla gelen video: {jobs_moved}. Kredi: {credits_moved}.",
      },
      es: {
        title: "Lo que tenías como invitado está aquí",
        body: "Vídeos que han llegado con ello: {jobs_moved}. Créditos: {credits_moved}.",
      },
    },
  },
  "alert.raised": {
    when: "something is wrong that only the operator can mend, or has become worse",
    data: Alert,
    example: () => ({ ...alert, rule: "spending", metric: "spending_percent", value: 83, threshold: 80 }),
    keepDays: 90,
    texts: null,
  },
  "alert.resolved": {
    when: "an alert is over, or it turned out not to be so",
    data: Alert,
    example: () => alert,
    keepDays: 90,
    texts: null,
  },
  "alert.acknowledged": {
    when: "an admin knows of an alert: nothing more is told of it before it is over",
    data: Alert,
    example: () => alert,
    keepDays: 90,
    texts: null,
  },
  "report.made": {
    when: "a day, a week or a month is over, and its report was made",
    data: Report,
    example: exampleReport,
    keepDays: 90,
    texts: null,
  },
  "webhook.test": {
    when: "an admin has a webhook told something",
    data: z.strictObject({ webhook_id: z.uuid() }),
    example: () => ({ webhook_id: exampleIds.webhook }),
    keepDays: 7,
    texts: null,
  },
} as const satisfies Readonly<Record<string, EventType>>;

export type EventTypeName = keyof typeof eventTypes;

/** Whether it is a type of this catalogue: a database may be newer than a function. */
export function isEventType(type: string): type is EventTypeName {
  return Object.hasOwn(eventTypes, type);
}

/** A type by its name. */
export function eventType(name: EventTypeName): EventType {
  return eventTypes[name];
}

export const eventTypeNames: readonly EventTypeName[] = Object.keys(eventTypes).filter(isEventType);

/** The channels by which a user may be told of a type, and which they may switch off. */
export function channelsOf(name: EventTypeName): readonly ("inbox" | "push")[] {
  const { texts, push } = eventType(name);
  return texts === null ? [] : push === undefined ? ["inbox"] : ["inbox", "push"];
}
