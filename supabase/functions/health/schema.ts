import * as z from "zod/mini";

export const Check = z.object({
  ok: z.boolean(),
  duration_ms: z.int().check(z.nonnegative()),
  /** Where the operator has to do something for it: the Data API was not told to expose the schema `api`. */
  reason: z.optional(z.enum(["schema_not_exposed"])),
});
export type Check = z.infer<typeof Check>;

export const HealthResponse = z.object({
  status: z.enum(["healthy", "degraded", "unhealthy"]),
  checks: z.optional(z.object({ database: Check, storage: Check, queue: Check, providers: Check })),
  version: z.optional(z.string()),
});
export type HealthResponse = z.infer<typeof HealthResponse>;
