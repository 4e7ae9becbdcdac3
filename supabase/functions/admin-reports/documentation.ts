import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";
import { exampleCase } from "../_shared/safety/contract.ts";

export default {
  GET: {
    description:
      "A video is one case, however many object to it. `status` names those of one state; `open` and `appealed` ones are to be decided. " +
      "`reports` and `notices` are the newest 20, the counts are of all. `video_path` is the file in the bucket `videos`. " +
      "`has_prompt` says whether there is a prompt, which `POST admin-jobs` reads, with a reason.",
    query: { limit: "10", status: "open" },
    responses: { 200: { cases: [exampleCase()], next_cursor: null } },
    walk: { captures: { CASE: ".cases[0].case_id" } },
  },
  PATCH: {
    description:
      "Of a case that is open: `keep`, `remove`, or `suspend`, which removes the video and suspends its user; the latter two also of one that is " +
      "kept or restored. `ground` is what the user is told, `reason` stays with the operator. What is removed has no URL from then on; " +
      "its bytes are remembered, its files deleted. Of an appeal: `reject`, or `grant`: the video is shown again where its file is " +
      "there still, else its credits come back; a suspension is lifted by `admin-users`. Another admin's video, or a user who is an " +
      "admin, can be removed, not suspended: `ERR_4006`, as for one's own. `ERR_4009` with the case's status where that is " +
      "decided already.",
    request: {
      case_id: exampleIds.case,
      decision: "keep",
      reason: "The person in it is drawn, and nobody's likeness",
    },
    responses: {
      200: {
        ...exampleCase(),
        status: "kept",
        due_at: null,
        decided_at: "2026-11-21T13:05:00.000Z",
      },
    },
  },
} satisfies Documentation;
