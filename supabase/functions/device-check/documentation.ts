import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";

export default {
  POST: {
    description:
      "Called after each sign-in, with a new DeviceCheck token each time. The first check of a device grants 10 " +
      "credits: once for that device, also after its app was installed anew or the account was closed.\n\n" +
      "`initial_grant.status` is `granted` when this call granted them, and `already_claimed` when the device has had them. " +
      "It is `pending` while there is a `reason`: Apple cannot be asked now (`apple_unavailable`), another check of the network or the " +
      "account is not over (`busy`), or the network, or all of them, have had their grants (`network_limit`). The account works, and a check " +
      "after `retry_after` seconds, or at the next start of the app, settles it. " +
      "Whose grant is settled is answered at once, under `reads`, and may start behind any network as often as they like. `is_new` tells that this call made the account. `device_id` is optional, and no identity. `signed_app_transaction`, StoreKit's `AppTransaction`, is optional, unless the operator asks for it (`app_transaction_missing`): with it, `recover-guest` finds this guest again, an Apple Account has its grant once, on whatever devices, and the network's limit of grants does not count.",
    request: { device_token: "AgAAAGFwcGxlIGRldmljZSB0b2tlbg==" },
    responses: {
      200: {
        user_id: exampleIds.user,
        app_account_token: exampleIds.appAccountToken,
        credits_remaining: 10,
        is_new: true,
        initial_grant: { status: "granted", credits: 10 },
      },
    },
    dataApiCalls: 4,
    walk: { captures: { USER_ID: ".user_id" } },
  },
} satisfies Documentation;
