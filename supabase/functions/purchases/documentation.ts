import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";

export default {
  GET: {
    description:
      "What was credited to the caller, `limit` at a time (1 to 100, else 20). `credits_added` is what a purchase brought; what Apple " +
      "refunded of it since is in `status`, and taken back in `credits` as `reversal`; so is what was left of a period that " +
      "another level replaced. `subscription` is null for whoever never had one.",
    query: { limit: "10" },
    responses: {
      200: {
        purchases: [{
          transaction_id: "2000000900000001",
          product_id: "credits_30",
          status: "credited",
          credits_added: 30,
          purchased_at: "2026-11-21T12:10:00.000Z",
          expires_at: null,
        }],
        subscription: {
          product_id: "com.example.kinora.plus",
          status: "active",
          renews_at: "2026-12-21T12:10:00.000Z",
          expires_at: "2026-12-21T12:10:00.000Z",
        },
        next_cursor: null,
      },
    },
    walk: { follows: "products" },
  },
  POST: {
    description:
      "`signed_transaction` is StoreKit 2's `jwsRepresentation`. It needs no key: the same transaction is credited once, whoever sends it " +
      "and how often, and `already_credited` says that it was before. Buy with the user's `app_account_token`, and the purchase " +
      "is theirs whoever presents it. Call `transaction.finish()` after 200, and after `ERR_4016` with `revoked`, `expired`, " +
      "`family_shared` or `other_account`; after anything else present it again later. This example is signed by nobody.",
    request: { signed_transaction: exampleIds.signedTransaction },
    responses: {
      200: {
        transaction_id: "2000000900000001",
        product_id: "credits_30",
        status: "credited",
        credits_added: 30,
        credits_remaining: 36,
        expires_at: null,
      },
    },
    walk: { refused: 422 },
  },
} satisfies Documentation;
