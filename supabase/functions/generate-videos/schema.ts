import * as z from "zod/mini";
import { AcceptedItem, RefusedItem, StoredRefusedItem } from "../_shared/videos/contract.ts";
import { GenerateVideoRequest } from "../_shared/videos/video-request.ts";

export const GenerateVideosRequest = z.strictObject({
  mode: z.enum(["all", "any"]),
  // 20 of the longest prompts and URLs fit into a body; the limit of an hour may allow fewer, which the database knows.
  items: z.array(GenerateVideoRequest).check(z.minLength(1), z.maxLength(20)),
});
export type GenerateVideosRequest = z.infer<typeof GenerateVideosRequest>;

const credits = {
  credits_used: z.int().check(z.nonnegative()),
  credits_remaining: z.int().check(z.nonnegative()),
};

export const GenerateVideosResponse = z.object({
  /** One for each item, in their order. */
  results: z.array(z.union([AcceptedItem, RefusedItem])),
  ...credits,
});
export type GenerateVideosResponse = z.infer<typeof GenerateVideosResponse>;

/** As the database tells it: errors have no message, which is in the caller's language. */
export const AcceptedVideos = z.object({
  results: z.array(z.union([AcceptedItem, StoredRefusedItem])),
  ...credits,
});
export type AcceptedVideos = z.infer<typeof AcceptedVideos>;
