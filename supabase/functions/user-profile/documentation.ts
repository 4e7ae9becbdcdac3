import { type Documentation, exampleIds } from "../_shared/documentation.ts";

const profile = {
  user_id: exampleIds.user,
  is_guest: true,
  display_name: null,
  language: null,
  theme_preference: "system",
  credits_remaining: 6,
  created_at: "2026-11-21T11:58:00.000Z",
};

export default {
  GET: {
    description:
      "`language` is the one of messages where a request asks for none; null until the user has chosen one.",
    responses: { 200: profile },
  },
  PATCH: {
    description:
      "Changes the members that it names, of `display_name` (1 to 50 characters, or null), `language` and " +
      "`theme_preference`; answers like `GET`.",
    request: { display_name: "Ada", theme_preference: "dark" },
    responses: { 200: { ...profile, display_name: "Ada", theme_preference: "dark" } },
  },
} satisfies Documentation;
