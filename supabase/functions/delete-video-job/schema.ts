import * as z from "zod/mini";

export const DeleteVideoJobQuery = z.strictObject({ job_id: z.guid().check(z.toLowerCase()) });
export type DeleteVideoJobQuery = z.infer<typeof DeleteVideoJobQuery>;
