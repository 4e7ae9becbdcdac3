import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";

export default {
  POST: {
    description:
      "For an app whose guest signs in to an account that exists already. Where the identity is new, the guest links it " +
      "instead (`linkIdentity`), and nothing has to move.\n\n" +
      "`guest_token` is the guest's access token, at most 5 minutes old: refresh the guest's session before the other " +
      "signs in. Credits, debts, videos, running ones too, uploads and idempotency keys become the caller's; the guest's " +
      "sessions end. A guest is merged once; a second call answers the same. `ERR_4008` for a token that is old, or whose " +
      "session has ended. `ERR_4009` with the status `not_guest`, `merged` (into another), `closed` or `suspended`. A caller who is a guest gets `ERR_4006`.",
    request: { guest_token: exampleIds.guestToken },
    responses: {
      200: {
        user_id: exampleIds.user,
        merged_user_id: "0b8a5c2e-7d14-4a0f-8b6e-2c9d1f3e5a77",
        credits_moved: 6,
        jobs_moved: 1,
        credits_remaining: 16,
      },
    },
    walk: { follows: "sessions", refused: 400 },
  },
} satisfies Documentation;
