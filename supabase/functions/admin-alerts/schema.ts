import * as z from "zod/mini";
import { Alert, AlertAction, AlertRule, Incident, Reason } from "../_shared/ops/contract.ts";
import { pageQuery, positionTime } from "../_shared/request/cursor.ts";
import { optional } from "../_shared/request/validation.ts";

export const GetAdminAlertsQuery = z.strictObject({
  ...pageQuery,
  status: z.optional(z.enum(["open", "resolved"])),
});
export type GetAdminAlertsQuery = z.infer<typeof GetAdminAlertsQuery>;

/** What a cursor holds: the last alert that was shown. */
export const AlertsPosition = z.strictObject({ raised_at: positionTime, id: z.uuid() });

/** A page as the database tells it, with where the next one begins; null at the end. */
export const AlertsPage = z.object({
  alerts: z.array(Alert),
  rules: z.array(AlertRule),
  incidents: z.array(Incident),
  next: z.nullable(AlertsPosition),
});
export type AlertsPage = z.infer<typeof AlertsPage>;

export const GetAdminAlertsResponse = z.extend(z.omit(AlertsPage, { next: true }), {
  next_cursor: z.nullable(z.string()),
});
export type GetAdminAlertsResponse = z.infer<typeof GetAdminAlertsResponse>;

const bound = z.number().check(z.minimum(-1e15), z.maximum(1e15));
const flag = z.string().check(
  z.regex(
    /^(generation|grants|purchases|providers\.([a-z]{1,50}|\{subject\}))$/,
    "Must be generation, grants, purchases, providers.{subject} or providers. and a name",
  ),
);
const policy = z.string().check(z.regex(/^[a-z_]{1,63}$/, "Must be a name of lower-case letters and _"));

/** What of a rule can be changed. */
const changes = {
  warning: optional(bound),
  critical: optional(bound),
  action: optional(AlertAction),
  /** What is throttled. */
  policies: optional(z.array(policy).check(z.maxLength(50))),
  /** What is left of their limits. */
  throttle_percent: optional(z.int().check(z.minimum(10), z.maximum(99))),
  /** What is switched off. */
  flags: optional(z.array(flag).check(z.maxLength(10))),
  is_pinned: optional(z.boolean()),
  is_enabled: optional(z.boolean()),
};

export const PatchAdminAlertsRequest = z.strictObject({
  /** Either an alert, which is acknowledged, or a rule, which is changed. */
  alert_id: optional(z.guid().check(z.toLowerCase())),
  acknowledged: optional(z.boolean()),
  rule: optional(z.string().check(z.regex(/^[a-z][a-z0-9_]{0,49}$/, "Must be the name of a rule"))),
  ...changes,
  reason: Reason,
}).check(
  z.refine(({ alert_id, rule }) => (alert_id === undefined) !== (rule === undefined), {
    path: ["rule"],
    error: "Must be there where alert_id is not, and only there",
  }),
  z.refine(({ alert_id, acknowledged }) => (alert_id === undefined) === (acknowledged === undefined), {
    path: ["acknowledged"],
    error: "Must be there where alert_id is, and only there",
  }),
  z.refine(
    ({ alert_id, ...others }) =>
      alert_id === undefined ||
      Object.keys(changes).every((name) => others[name as keyof typeof changes] === undefined),
    { path: ["alert_id"], error: "Must be absent where a rule is changed" },
  ),
);
export type PatchAdminAlertsRequest = z.infer<typeof PatchAdminAlertsRequest>;

/** What was changed; the other is null. */
export const PatchAdminAlertsResponse = z.object({ alert: z.nullable(Alert), rule: z.nullable(AlertRule) });
export type PatchAdminAlertsResponse = z.infer<typeof PatchAdminAlertsResponse>;
