import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";

export default {
  POST: {
    description:
      "With `job_id` it is the refund of a completed job of that user, at most what it cost (`ERR_4008` on `amount`), and once: " +
      "afterwards it is `ERR_4009` with the status `refunded`. The job's `credits_used` is less by it.\n\n" +
      "What an admin gives within any 24 hours, refunds and positive adjustments together, is limited to 10,000 credits: " +
      "`ERR_4004` with the policy `admin_credits`, and when the amount fits. Nobody credits their own account: `ERR_4006`. " +
      "A closed account is `ERR_4009` with the status `closed`.",
    request: {
      user_id: exampleIds.user,
      amount: 4,
      reason: "The video flickers from the first second on",
      job_id: exampleIds.job,
    },
    responses: {
      200: { success: true, transaction_id: "019ab3f2-5c1e-7d40-9f67-3b1f0c5f2a77", new_balance: 10 },
    },
    walk: { before: "JOB=$COMPLETED_JOB" },
  },
} satisfies Documentation;
