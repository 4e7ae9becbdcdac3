import * as z from "zod/mini";
import { userText } from "../_shared/request/user-text.ts";
import { JobStatus } from "../_shared/videos/contract.ts";

const timestamp = z.iso.datetime({ precision: 3 });

/** As long as an e-mail address can be. */
export const AdminSearchQuery = z.strictObject({ query: userText(320, { lines: "one" }) });
export type AdminSearchQuery = z.infer<typeof AdminSearchQuery>;

export const AdminSearchResponse = z.object({
  /** 20 at most. */
  users: z.array(z.object({
    user_id: z.guid(),
    /** Null of a guest, and once Auth knows them no more. */
    email: z.nullable(z.string()),
    /** What stands for the user in the paths of their files; null of whom only Auth knows yet. */
    reference: z.nullable(z.guid()),
    is_guest: z.nullable(z.boolean()),
    is_banned: z.boolean(),
    created_at: timestamp,
    credits_remaining: z.int().check(z.nonnegative()),
  })),
  /** The newest 20. */
  jobs: z.array(z.object({
    job_id: z.uuid(),
    user_id: z.guid(),
    status: JobStatus,
    /** What of it the words are. */
    matched: z.enum(["job_id", "request_id", "client_reference"]),
    created_at: timestamp,
  })),
});
export type AdminSearchResponse = z.infer<typeof AdminSearchResponse>;
