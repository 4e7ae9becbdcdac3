import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";
import { exampleModel } from "../_shared/videos/contract.ts";

const { processed_by: _, ...model } = exampleModel();

export default {
  PATCH: {
    description:
      "New videos see it at once, and the catalogue of `models` within the minute that it may be remembered. Videos that were " +
      "accepted go on. Answers the model as it is then; what changes nothing is not written down.",
    request: { model_id: exampleIds.model, is_available: true, reason: "The provider is well again" },
    responses: { 200: { ...model, is_available: true } },
  },
} satisfies Documentation;
