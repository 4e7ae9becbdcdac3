import type { Documentation } from "../_shared/endpoint/documentation.ts";

export default {
  GET: {
    description:
      "What the app offers, in the operator's order: ask StoreKit for these `product_id`s, which have the prices. `credits` are for " +
      "one of a `consumable`, and for each period of a `subscription`. Send the answer's `ETag` as `If-None-Match`, and there " +
      "is no body while nothing has changed: 304.",
    responses: {
      200: {
        products: [{
          product_id: "credits_30",
          kind: "consumable",
          name: "30 credits",
          description: "Seven videos of the cheapest model.",
          credits: 30,
          is_featured: true,
        }],
      },
    },
    walk: { follows: "credits" },
  },
} satisfies Documentation;
