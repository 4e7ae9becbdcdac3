import type { Documentation } from "../_shared/endpoint/documentation.ts";

const accepted = { name: "jobs_accepted", labels: {}, unit: "jobs" };
const median = { name: "completion_seconds", labels: { quantile: "0.5" }, unit: "seconds" };

export default {
  GET: {
    description:
      "`span` is an `hour` in steps of a minute, a `day` in steps of 15 minutes, or a `month` of 30 days in steps of 6 hours. " +
      "`from` is a whole step in UTC, value i of a series is that of the step that begins i steps later, and the last step goes on. " +
      "`totals` names the same things, over the whole span. Every figure is what the database has between `from` and `to`, also what was " +
      "written a moment ago.\n\n" +
      "| name | labels | |\n|---|---|---|\n" +
      "| `jobs_accepted` | | by when they were accepted |\n" +
      "| `jobs_ended` | `outcome`: `completed`, `failed`, `cancelled` | by when they ended |\n" +
      "| `completion_seconds` | `quantile`: `0.5`, `0.95` | from acceptance to the end of what was completed then, in whole seconds; null where " +
      "nothing was |\n" +
      "| `credits` | `movement`: `sold` | bought, but in the sandbox |\n" +
      "| | `granted` | given to new devices |\n" +
      "| | `spent` | paid for completed videos: captures |\n" +
      "| | `refunded` | given back: releases of jobs that failed or were cancelled, and refunds of the operator; not adjustments |\n" +
      "| `provider_cents` | `provider` | US cents, by when the submissions were claimed, but for what is known not to be billed; a provider " +
      "without any is absent |\n\n" +
      "`now` is how things stand, whatever the span: `oldest_due_task_seconds` is how long the task has waited for a worker that waits longest; what waits because its webhook's server has all that it may have at once is not among them.",
    query: { span: "hour" },
    responses: {
      200: {
        span: "hour",
        from: "2026-11-21T11:01:00.000Z",
        to: "2026-11-21T12:00:30.000Z",
        step_seconds: 60,
        series: [{ ...accepted, values: [3, 0, 5] }, { ...median, values: [71, null, 64] }],
        totals: [{ ...accepted, value: 8 }, { ...median, value: 66 }],
        now: {
          due_tasks: 2,
          oldest_due_task_seconds: 1.5,
          dead_tasks: 0,
          jobs_running: 4,
          open_alerts: { warning: 1, critical: 0 },
          providers: [{
            provider: "fal",
            is_enabled: true,
            breaker: "closed",
            spent_cents_today: 1240,
            cap_cents: 5000,
          }],
        },
      },
    },
  },
} satisfies Documentation;
