import type { Documentation } from "../_shared/endpoint/documentation.ts";

const context = { targetingKey: "ignored", app_version: "2.1.0", platform: "ios", locale: "tr" };

export default {
  "POST ofrep/v1/evaluate/flags": {
    description:
      "The bulk evaluation of [OFREP](https://github.com/open-feature/protocol), for OpenFeature's web and mobile clients ([flags](flags.md)). " +
      "`context` may hold anything; of it `app_version`, `platform` and `locale` count. `targetingKey` does not: the flags are those of the token's user. " +
      "`value` is missing where the app's own default is meant. `reason` is `UNKNOWN` where no rule fits or one cannot be evaluated; `metadata` says which, and why. " +
      "Errors have OFREP's `errorCode` and `errorDetails` beside ours. Send the answer's `ETag` as `If-None-Match`, and there is no body while nothing has changed: 304.",
    request: { context },
    responses: {
      200: {
        flags: [
          { key: "generation", reason: "STATIC", variant: "on", value: true },
          {
            key: "video_model",
            reason: "SPLIT",
            variant: "veo",
            value: "0190a000-0000-7000-8000-000000000002",
          },
          {
            key: "new_editor",
            reason: "UNKNOWN",
            variant: "off",
            value: false,
            metadata: { reason: "DEFAULT" },
          },
        ],
      },
    },
    walk: { follows: "models" },
  },
  "POST ofrep/v1/evaluate/flags/{key}": {
    description:
      "The evaluation of one flag by [OFREP](https://github.com/open-feature/protocol), for OpenFeature's server clients. " +
      "As the bulk evaluation has it; a flag that is not there is `ERR_4007`, with the `errorCode` `FLAG_NOT_FOUND`.",
    path: { key: "generation" },
    request: { context },
    responses: { 200: { key: "generation", reason: "STATIC", variant: "on", value: true } },
  },
} satisfies Documentation;
