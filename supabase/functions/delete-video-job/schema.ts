import * as z from "zod";

export const DeleteVideoJobQuery = z.strictObject({ job_id: z.guid().toLowerCase() });
export type DeleteVideoJobQuery = z.infer<typeof DeleteVideoJobQuery>;
