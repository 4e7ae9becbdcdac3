import { type Documentation, exampleIds } from "../_shared/documentation.ts";

export default {
  GET: {
    description:
      "What can be generated now. `pricing.credits` is the price of a video, or of each second of it; " +
      "`options` has the values of each setting, and the one that stands for it where it is left out. Send the answer's `ETag` as " +
      "`If-None-Match`, and there is no body while nothing has changed: 304.",
    responses: {
      200: {
        models: [{
          id: exampleIds.model,
          name: "Kling 2.5 Turbo Pro",
          description: "Cinematic motion from a text, five seconds at a time.",
          category: "text_to_video",
          thumbnail_url: null,
          is_featured: true,
          requires_image: false,
          pricing: { type: "per_video", credits: 4 },
          options: {
            duration_seconds: { values: [5], default: 5 },
            resolution: { values: ["1080p"], default: "1080p" },
            aspect_ratio: { values: ["16:9", "9:16", "1:1"], default: "16:9" },
          },
        }],
      },
    },
    walk: { captures: { MODEL: ".models[0].id" } },
  },
} satisfies Documentation;
