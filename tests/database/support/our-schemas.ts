/** The schemas that the migrations make; privileges_test.ts finds them complete. */
export const ourSchemas = [
  "accounts",
  "api",
  "core",
  "credits",
  "devices",
  "events",
  "guard",
  "notify",
  "ops",
  "purchases",
  "queue",
  "safety",
  "videos",
  "webhooks",
];
