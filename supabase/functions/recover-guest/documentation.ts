import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";

export default {
  POST: {
    description:
      "A guest is its session, and a session can be lost, as with an app that is installed anew. StoreKit's `AppTransaction` proves the Apple Account: whoever first " +
      "came with it to `device-check` is merged into the caller, as by `merge-guest`. It must be signed within the last 10 " +
      "minutes (`AppTransaction.refresh`). `ERR_4007` where nobody came with it. `ERR_4009` with the status `in_use` until the guest was idle for 7 days, since another device of that " +
      "Apple Account may be using it; `recovered` within a day of the last time; `not_guest` where either has an identity by " +
      "which they can sign in; `closed` or `suspended`. `ERR_4016` for what Apple did not sign for this app.",
    request: { signed_app_transaction: exampleIds.signedAppTransaction },
    responses: {
      200: {
        user_id: exampleIds.user,
        merged_user_id: "0b8a5c2e-7d14-4a0f-8b6e-2c9d1f3e5a77",
        credits_moved: 6,
        jobs_moved: 1,
        credits_remaining: 6,
      },
    },
    walk: { follows: "merge-guest", refused: 422 },
  },
} satisfies Documentation;
