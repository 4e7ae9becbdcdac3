import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";

export default {
  POST: {
    description:
      "The URL for Sign in with Apple's server-to-server notifications, in Apple's developer account. Apple's signature over " +
      "`payload` proves who sent it. `consent-revoked` takes the identity from its user, who is a guest again where they had " +
      "no other; `account-delete` closes an account that has no other; of all else it is kept that it was told. A repeated one " +
      "changes nothing. What is not proved to be Apple's, and about this app, is `ERR_4005`: so is this example, which " +
      "nobody has signed.",
    request: { payload: exampleIds.signedIdentityNotification },
    responses: { 200: { received: true } },
    walk: { refused: 401 },
  },
} satisfies Documentation;
