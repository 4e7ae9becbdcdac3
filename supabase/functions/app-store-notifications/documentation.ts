import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";

export default {
  POST: {
    description:
      "The URL for App Store Server Notifications, version 2, of production and sandbox alike, in App Store Connect. Apple's signature over " +
      "`signedPayload` proves who sent it. It is stored before it is answered, whatever its type, and a repeated one changes " +
      "nothing. What is not proved to be Apple's, and about this app, is `ERR_4005`: so is this example, which nobody has signed.",
    request: { signedPayload: exampleIds.signedNotification },
    responses: { 200: { received: true } },
    walk: { refused: 401 },
  },
} satisfies Documentation;
