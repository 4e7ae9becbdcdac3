import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";
import { examplePreferences } from "../_shared/notify/contract.ts";

const profile = {
  user_id: exampleIds.user,
  is_guest: true,
  display_name: null,
  language: null,
  theme_preference: "system",
  credits_remaining: 6,
  app_account_token: exampleIds.appAccountToken,
  shares_consumption: false,
  accepted_processors: [],
  notification_preferences: examplePreferences(),
  created_at: "2026-11-21T11:58:00.000Z",
  subscription: null,
  export: null,
};

export default {
  GET: {
    description:
      "`language` is the one of messages where a request asks for none; null until the user has chosen one. Buy with " +
      "`app_account_token` as StoreKit's `appAccountToken`, and the purchase is this user's; it is nobody else's to know. " +
      "`export` is the file that `user-export` asked for, with a new URL at each call.",
    responses: { 200: profile },
    walk: { follows: "user-export" },
  },
  PATCH: {
    description:
      "Changes the members that it names, of `display_name` (1 to 50 characters, or null), `language`, " +
      "`theme_preference`, `shares_consumption`, by which Apple may be told how much of a purchase was used when a refund is " +
      "asked for, `accepted_processors`, the whole list of those who may get the user's prompts and images, of the names in " +
      "the models' `processed_by`, and `notification_preferences`, of which it names what changes; answers like `GET`.",
    request: { display_name: "Ada", theme_preference: "dark" },
    responses: { 200: { ...profile, display_name: "Ada", theme_preference: "dark" } },
  },
  DELETE: {
    description:
      "Videos that are not finished are cancelled, credits are forfeited, and sessions end; a worker erases files and " +
      "personal data. The token, while it lives, gets `ERR_4005` everywhere.\n\n" +
      "Of whoever signed in with Apple, send an `apple_authorization_code`, from a new sign-in: it is good for 5 minutes, " +
      "and the worker has Apple revoke the app's access with it. The account is closed whatever Apple says; a body is never " +
      "needed. `subscription` is one that goes on at Apple's: only its buyer can end it, so show them where.",
    request: { apple_authorization_code: exampleIds.appleAuthorizationCode },
    responses: {
      202: {
        user_id: exampleIds.user,
        closed_at: "2026-11-21T12:30:00.000Z",
        subscription: {
          product_id: "com.example.kinora.plus",
          status: "active",
          renews_at: "2026-12-14T09:30:00.000Z",
          expires_at: "2026-12-14T09:30:00.000Z",
        },
      },
    },
    walk: { before: "# Another guest, since this is for good.\nTOKEN=$(sign_up '{}' | field .access_token)" },
  },
} satisfies Documentation;
