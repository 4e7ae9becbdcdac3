import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";

const item = { model_id: exampleIds.model, prompt: "A red fox runs through fresh snow" };

export default {
  POST: {
    description:
      "`items` are bodies of `generate-video`: from 1 to what `video_generation` allows in an hour, and at most 20. " +
      "Each counts in the limits as a call of `generate-video` does.\n\n" +
      "With the `mode` `all` every item is accepted or none: the first refusal is the answer's error, whose `details.index` " +
      "names the item (of `ERR_4001`, `required` is what the items up to this one cost together). With `any` each is accepted by itself, in order, until credits or limits end, and " +
      "its result has `job_id` and `credits_used`, or the `error` that `generate-video` would have answered; only where the first item meets a limit is that the answer.\n\n" +
      "One key covers the whole: a retry answers the same results, refused ones included, so that what was refused is asked for again with a " +
      "new key. The first video is submitted at once, the others take turns with those of other users.",
    request: { mode: "any", items: [item, { ...item, prompt: "The fox looks up" }] },
    responses: {
      202: {
        results: [
          { index: 0, job_id: exampleIds.job, credits_used: 4 },
          {
            index: 1,
            error: {
              code: "ERR_4001",
              message: "You do not have enough credits: this costs 4, and your balance is 2.",
              details: { required: 4, available: 2 },
            },
          },
        ],
        credits_used: 4,
        credits_remaining: 2,
      },
    },
    walk: { follows: "delete-video-job" },
  },
} satisfies Documentation;
