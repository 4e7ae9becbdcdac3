import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";
import { exampleModel } from "../_shared/videos/contract.ts";

const { processed_by: _, ...model } = exampleModel();

export default {
  GET: {
    description:
      "In the operator's order. `providers` are asked in their order; `cost_cents` is what one takes of us " +
      "for a video, or for a second of it, as `pricing.type` says.",
    responses: {
      200: {
        models: [{
          ...model,
          is_available: true,
          providers: [
            { provider: "fal", is_enabled: true, breaker: "closed", cost_cents: 35 },
            { provider: "replicate", is_enabled: true, breaker: "open", cost_cents: 35 },
          ],
        }],
      },
    },
  },
  PATCH: {
    description:
      "New videos see it at once, and the catalogue of `models` within the minute that it may be remembered. Videos that were " +
      "accepted go on. Answers the model as it is then; what changes nothing is not written down.",
    request: { model_id: exampleIds.model, is_available: true, reason: "The provider is well again" },
    responses: { 200: { ...model, is_available: true } },
  },
} satisfies Documentation;
