import * as z from "zod/mini";

export const Check = z.object({ ok: z.boolean(), duration_ms: z.int().check(z.nonnegative()) });

export const HealthResponse = z.object({
  status: z.enum(["healthy", "degraded", "unhealthy"]),
  checks: z.optional(z.object({ database: Check, storage: Check, queue: Check, providers: Check })),
  version: z.optional(z.string()),
});
export type HealthResponse = z.infer<typeof HealthResponse>;
