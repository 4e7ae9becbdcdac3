/** The schemas that the migrations make; privileges_test.ts finds them complete. */
export const ourSchemas = [
  "accounts",
  "api",
  "core",
  "credits",
  "devices",
  "guard",
  "ops",
  "purchases",
  "queue",
  "safety",
  "videos",
];
