import type { Documentation } from "../_shared/endpoint/documentation.ts";

const generation = {
  key: "generation",
  type: "boolean",
  is_enabled: true,
  is_switch: true,
  is_experiment: false,
  variants: { on: true, off: false },
  default_variant: "on",
  off_variant: "off",
  rules: [],
  description: "Videos are accepted",
  version: 1,
};

export default {
  GET: {
    description:
      "All of them, by key. What a flag may say is told in [flags](flags.md). `deno task flags` makes them, from flagd's JSON.",
    responses: {
      200: {
        flags: [generation, {
          ...generation,
          key: "video_model",
          type: "string",
          is_switch: false,
          is_experiment: true,
          variants: {
            kling: "0190a000-0000-7000-8000-000000000001",
            veo: "0190a000-0000-7000-8000-000000000002",
          },
          default_variant: "kling",
          off_variant: "kling",
          rules: [{
            platforms: ["ios"],
            app_versions: [">=2.0.0"],
            split: [{ variant: "veo", weight: 50 }, { variant: "kling", weight: 50 }],
          }],
          description: "Which model the app offers first",
          version: 3,
        }],
      },
    },
  },
  PATCH: {
    description:
      "What is not named stays as it is; `rules` are all of them anew, in their order. Whoever asks from then on is answered by it, procedures in " +
      "the same moment. What changes nothing is not written down; else `ops.admin_actions` has what was before and after. A flag that is not there is ERR_4007.",
    request: { key: "generation", is_enabled: true, reason: "The providers are well again" },
    responses: { 200: generation },
  },
} satisfies Documentation;
