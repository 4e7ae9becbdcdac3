import * as z from "zod/mini";
import { missingParts } from "../_shared/ops/contract.ts";

export const Check = z.object({
  ok: z.boolean(),
  duration_ms: z.int().check(z.nonnegative()),
  /** Where the operator has to do something for it: the Data API was not told to expose the schema `api`. */
  reason: z.optional(z.enum(["schema_not_exposed"])),
});
export type Check = z.infer<typeof Check>;

export const PlatformCheck = z.extend(Check, {
  /** What the operator has not set up: docs/deploying.md says of each what it is for and how to have it. */
  missing: z.array(z.enum([...missingParts, "signing_key"])),
  /** What is wrong with which variables, whose features are off; without their values. */
  invalid: z.optional(z.array(z.string())),
});
export type PlatformCheck = z.infer<typeof PlatformCheck>;

export const HealthResponse = z.object({
  status: z.enum(["healthy", "degraded", "unhealthy"]),
  checks: z.optional(
    z.object({
      database: Check,
      storage: Check,
      /** The database's clock, which evaluates the rules of alerts. */
      tick: Check,
      /** What is away at this moment, and whose work waits or is done by others. */
      incidents: z.extend(Check, { away: z.array(z.string()) }),
      queue: Check,
      /** Each model that is offered has one that is configured, and whose breaker is not open. */
      providers: Check,
      /** Takes our key, as far as a token of no device can tell. */
      apple: Check,
      /** The request carries the header that limits of networks count by. */
      client_address: Check,
      platform: PlatformCheck,
    }),
  ),
  version: z.optional(z.string()),
});
export type HealthResponse = z.infer<typeof HealthResponse>;
