import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";

export default {
  POST: {
    description:
      "`amount` is added, or taken where it is negative; more than the user has is `ERR_4001`.\n\n" +
      "What an admin gives within any 24 hours, refunds and positive adjustments together, is limited to 10,000 credits: " +
      "`ERR_4004` with the policy `admin_credits`, and when the amount fits. Nobody credits their own account: `ERR_4006`. " +
      "A closed account is `ERR_4009` with the status `closed`.",
    request: { user_id: exampleIds.user, amount: 10, reason: "Winner of the November contest" },
    responses: {
      200: { success: true, transaction_id: "019ab3f2-5c1e-7d40-9f67-3b1f0c5f2a77", new_balance: 16 },
    },
  },
} satisfies Documentation;
