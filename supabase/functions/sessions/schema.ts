import * as z from "zod/mini";

const timestamp = z.iso.datetime({ precision: 3 });

export const GetSessionsResponse = z.object({
  /** The one that was used last first. */
  sessions: z.array(z.object({
    id: z.guid(),
    created_at: timestamp,
    /** When its tokens were refreshed, or it began. */
    last_used_at: timestamp,
    is_current: z.boolean(),
  })),
});
export type GetSessionsResponse = z.infer<typeof GetSessionsResponse>;

export const DeleteSessionsQuery = z.strictObject({
  session_id: z.optional(z.guid().check(z.toLowerCase())),
  others: z.optional(z.literal("true")),
}).check(
  z.refine(
    ({ session_id, others }) => (session_id === undefined) !== (others === undefined),
    "Must have session_id, or others=true",
  ),
);
export type DeleteSessionsQuery = z.infer<typeof DeleteSessionsQuery>;

export const DeleteSessionsResponse = z.object({ ended: z.int().check(z.nonnegative()) });
export type DeleteSessionsResponse = z.infer<typeof DeleteSessionsResponse>;
