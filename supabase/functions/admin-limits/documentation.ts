import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { examplePolicy } from "../_shared/ops/contract.ts";

export default {
  GET: {
    description:
      "By name. `max_hits` is what the operator admits in any `window_seconds`, `admits` what is admitted now: an alert may leave " +
      "`throttle_percent` of it. `counts` says of what: requests, credits or grants.",
    query: {},
    responses: { 200: { policies: [examplePolicy()] } },
  },
  PATCH: {
    description:
      "From the next request on. What is left out stays as it is; what changes nothing is not written down. What counts `hits` " +
      "admits 300 at most. `ERR_4006` for `admin` and `admin_credits`, which bound admins themselves: the owner of the database " +
      "alone changes those. Answers the limit as it is then.",
    request: { policy: "video_generation", max_hits: 20, reason: "A week of festivities" },
    responses: { 200: { ...examplePolicy(), max_hits: 20, admits: 20 } },
  },
} satisfies Documentation;
