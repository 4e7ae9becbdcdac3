/** What the simulated App Store tells of itself, and its switches, for any process. */
import * as z from "zod";
import { type SimulatorControl, simulatorControl } from "../engine/control.ts";
import { type AppStoreRule, appStoreRule } from "./rules.ts";
import { storeState } from "./store.ts";

const call = z.object({
  at: z.number(),
  operation: z.string(),
  environment: z.string(),
  id: z.string(),
  body: z.unknown(),
  /** Null where the connection was closed instead. */
  status: z.number().nullable(),
});
export type ReportedCall = z.infer<typeof call>;

export const appStoreReport = z.object({
  /** Since the start or the last reset, the newest 1,000. */
  requests: z.array(call),
  rules: z.array(appStoreRule),
  ...storeState.pick({
    transactions: true,
    subscriptions: true,
    notifications: true,
    deliveries: true,
    consumptions: true,
  }).shape,
});
export type AppStoreReport = z.infer<typeof appStoreReport>;

/** The switches of the store at `url`, from any process. */
export function appStoreControl(url: string): SimulatorControl<AppStoreRule, AppStoreReport> {
  return simulatorControl(url, appStoreReport);
}
