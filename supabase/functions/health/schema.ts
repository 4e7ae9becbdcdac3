import * as z from "zod";

export const Check = z.object({ ok: z.boolean(), duration_ms: z.int().nonnegative() });

export const HealthResponse = z.object({
  status: z.enum(["healthy", "degraded", "unhealthy"]),
  checks: z.object({ database: Check, storage: Check, queue: Check, providers: Check }).optional(),
  version: z.string().optional(),
});
export type HealthResponse = z.infer<typeof HealthResponse>;
