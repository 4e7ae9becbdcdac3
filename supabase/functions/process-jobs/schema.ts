import * as z from "zod/mini";

export const ProcessJobsResponse = z.object({ accepted: z.literal(true) });
export type ProcessJobsResponse = z.infer<typeof ProcessJobsResponse>;
