/** What the operator's reports say, as SQL makes them (`ops.figures_of`); docs/operations/reports.md explains each figure. */
import * as z from "zod/mini";

const count = z.int().check(z.nonnegative());
/** Of a span that has none, null. */
const seconds = z.nullable(z.number().check(z.nonnegative()));
const day = z.iso.date();

const jobs = z.strictObject({ accepted: count, completed: count, failed: count, cancelled: count });
const credits = z.array(z.strictObject({ kind: z.string(), transfers: count, credits: count }));

const daily = z.strictObject({
  errors: z.array(z.strictObject({ code: z.string(), count })),
  /** Null where no isolate counts them. */
  limit_hits: z.nullable(z.array(z.strictObject({ endpoint: z.string(), refused: count }))),
  jobs,
  failed_jobs: z.array(z.strictObject({ code: z.string(), jobs: count })),
  refunds: z.strictObject({ refunds: count, credits: count }),
  credits,
  spent: z.array(z.strictObject({ provider: z.string(), cents: z.number().check(z.nonnegative()) })),
});

const weekly = z.strictObject({
  admin_actions: z.array(z.strictObject({ action: z.string(), count, credits: z.int() })),
  error_patterns: z.array(z.strictObject({ code: z.string(), endpoint: z.string(), count, days: count })),
  removed: z.array(z.strictObject({ rule: z.string(), rows: count })),
  dead_letters: z.array(z.strictObject({ kind: z.string(), tasks: count })),
});

const monthly = z.strictObject({
  users: z.strictObject({ new: count, closed: count }),
  jobs,
  models: z.array(z.strictObject({
    model: z.string(),
    completed: count,
    failed: count,
    seconds_p50: seconds,
    seconds_p95: seconds,
  })),
  providers: z.array(z.strictObject({
    provider: z.string(),
    submissions: count,
    accepted: count,
    refused: count,
    seconds_p50: seconds,
    seconds_p95: seconds,
  })),
  credits,
});

/** The days are in UTC; the last one is not part of it. */
const span = { begins_on: day, ends_on: day };

export const Report = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("daily"), ...span, figures: daily }),
  z.strictObject({ kind: z.literal("weekly"), ...span, figures: weekly }),
  z.strictObject({ kind: z.literal("monthly"), ...span, figures: monthly }),
]);
export type Report = z.infer<typeof Report>;

export function exampleReport(): Report {
  return {
    kind: "daily",
    begins_on: "2026-11-21",
    ends_on: "2026-11-22",
    figures: {
      errors: [{ code: "ERR_5002", count: 3 }],
      limit_hits: [{ endpoint: "generate-video", refused: 12 }],
      jobs: { accepted: 104, completed: 97, failed: 5, cancelled: 2 },
      failed_jobs: [{ code: "ERR_5002", jobs: 5 }],
      refunds: { refunds: 1, credits: 4 },
      credits: [{ kind: "hold", transfers: 104, credits: 416 }, {
        kind: "capture",
        transfers: 97,
        credits: 388,
      }],
      spent: [{ provider: "fal", cents: 3395 }],
    },
  };
}
