/** A model as the API shows it, the same in every endpoint. */
import * as z from "zod/mini";

function option<Value extends z.ZodMiniType>(value: Value) {
  return z.object({ values: z.array(value), default: value });
}

export const ModelResponse = z.object({
  id: z.uuid(),
  name: z.string(),
  description: z.string(),
  category: z.enum(["text_to_video", "image_to_video"]),
  thumbnail_url: z.nullable(z.url()),
  is_featured: z.boolean(),
  requires_image: z.boolean(),
  pricing: z.object({ type: z.enum(["per_video", "per_second"]), credits: z.int().check(z.positive()) }),
  options: z.object({
    duration_seconds: option(z.int().check(z.positive())),
    resolution: option(z.string()),
    aspect_ratio: option(z.string()),
    // In UTF-16 units, as JavaScript and Swift's utf16 count; where it is less than the API's 2,000.
    prompt_max_characters: z.optional(z.int().check(z.positive())),
  }),
});
export type ModelResponse = z.infer<typeof ModelResponse>;
