import * as z from "zod/mini";

export const CancelVideoRequest = z.strictObject({ job_id: z.guid().check(z.toLowerCase()) });
export type CancelVideoRequest = z.infer<typeof CancelVideoRequest>;
