import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";

const product = {
  product_id: "credits_150",
  kind: "consumable",
  name: "150 credits",
  description: "Enough for a film festival.",
  credits: 150,
  trial_credits: 0,
  is_available: true,
  is_featured: false,
  position: 6,
};

export default {
  GET: {
    description:
      "All products in the operator's order, also what is taken off. `waiting` are purchases that are paid and not credited, since no " +
      "product has their id and kind: 50 at most, the oldest of each product first. `kind` is Apple's word; nothing credits `other`.",
    responses: {
      200: {
        products: [product],
        waiting: [{
          transaction_id: "2000000123456789",
          environment: "production",
          product_id: "credits_300",
          kind: "consumable",
          quantity: 1,
          user_id: exampleIds.user,
          purchased_at: "2026-11-21T12:00:00.000Z",
        }],
      },
    },
  },
  POST: {
    description:
      "As App Store Connect has it; `name` and `description` are what the app shows. `products` shows it within a minute, and what " +
      "waits for it is credited within seconds. What is left out: no `trial_credits`, available, not featured, `position` 0. " +
      "`ERR_4009` (`exists`) for an id that is there, as in a second call.",
    request: { ...product, reason: "The festival begins on Friday" },
    responses: { 201: product },
  },
  PATCH: {
    description:
      "What is left out stays as it is, and what was credited does, too. `products` shows it within a minute. What is not available is " +
      "not shown, and whoever has paid for it gets it all the same. Another `kind` credits what waits for that. What changes " +
      "nothing is not written down. Answers the product as it is then.",
    request: { product_id: product.product_id, is_available: false, reason: "The festival is over" },
    responses: { 200: { ...product, is_available: false } },
  },
} satisfies Documentation;
