import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { examplePushToken } from "../_shared/notify/contract.ts";

export default {
  POST: {
    description:
      "`token` is what APNs gave the app, in hexadecimal; `environment` is `sandbox` for a build that Xcode has put on the device, " +
      "else `production`; a wrong one is found out and mended with the first push. A device belongs to the last user who registered " +
      "it. A user has ten at most: with the eleventh, the one that was registered longest ago goes. At each start of the app.",
    request: { token: examplePushToken, environment: "production" },
    walk: { follows: "notifications" },
  },
  DELETE: {
    description: "Before the user signs out. A device that is not there, or another's, is passed over.",
    query: { token: examplePushToken },
  },
} satisfies Documentation;
