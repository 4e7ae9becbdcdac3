import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleModel } from "../_shared/videos/contract.ts";

export default {
  GET: {
    description:
      "What can be generated now. `pricing.credits` is the price of a video, or of each second of it; " +
      "`options` has the values of each setting, and the one that stands for it where it is left out; `options.prompt_max_characters` is there for a model that takes prompts of less than 2,000. `inputs` are what a model takes beside, which `settings` has by their names: with type, bounds, default, and what they multiply the price by where they are used. `processed_by` names who may get the prompt and the image: show them, and ask for consent. Send the answer's `ETag` as " +
      "`If-None-Match`, and there is no body while nothing has changed: 304.",
    responses: { 200: { models: [exampleModel()] } },
    isHot: true,
    walk: { follows: "device-check", captures: { MODEL: ".models[0].id" } },
  },
} satisfies Documentation;
