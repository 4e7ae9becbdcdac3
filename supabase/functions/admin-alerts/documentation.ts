import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleAlert, exampleAlertRule } from "../_shared/ops/contract.ts";

export default {
  GET: {
    description:
      "Newest first; `status` names those that are `open` or `resolved`. `metric`, `value` and `threshold` are null of what was met " +
      "and not measured. An alert is as bad (`level`) as it has been since it began. `rules` are all of them: `acting_on` is what " +
      "one has lowered or switched off now. `incidents` are those that last, and the newest 20; `ended_at` is null while one lasts.",
    query: { limit: "10", status: "open" },
    responses: {
      200: {
        alerts: [exampleAlert()],
        rules: [exampleAlertRule()],
        incidents: [{
          incident_id: "019ab3f2-5c1e-7d40-9f67-3b1f0c5f2b11",
          subject: "provider fal",
          began_at: "2026-11-21T12:00:00.000Z",
          ended_at: "2026-11-21T12:06:00.000Z",
          cause: "5 failures in a row",
          taken_over_by: ["replicate"],
        }],
        next_cursor: null,
      },
    },
  },
  PATCH: {
    description:
      "With `alert_id` and `acknowledged`: nothing more is told of the alert before it is over. With `rule`: what else is named of the " +
      "rule is changed, and counts from the next minute on; what it did by another action is undone. `throttle` leaves " +
      "`throttle_percent` of the limits of `policies`, and `shutdown` switches `flags` off, from the level `acts_at` on, until " +
      "the alert is over, or, with `is_pinned`, until that is false again. What a stranger can cause must not switch off what others use: " +
      "docs/operations/alerts.md says what each rule invites. What changes nothing is not written down.",
    request: { rule: "spending", warning: 60, reason: "A smaller cap than last month's" },
    responses: { 200: { alert: null, rule: { ...exampleAlertRule(), warning: 60 } } },
  },
} satisfies Documentation;
