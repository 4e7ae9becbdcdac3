import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";
import { exampleProject } from "../_shared/videos/contract.ts";

export default {
  GET: {
    description:
      "Newest first, `limit` at a time (1 to 100, else 20). `job_count` is the number of its videos, without the deleted ones; " +
      "`video-jobs?project_id=` has them. `next_cursor` is the `cursor` of the next page, and null on the last.",
    query: { limit: "10" },
    responses: { 200: { projects: [exampleProject()], next_cursor: null } },
  },
  POST: {
    description:
      "`name` has 1 to 100 characters. Names need not differ, and a second call makes another project.",
    request: { name: "Winter campaign" },
    responses: { 201: { ...exampleProject(), job_count: 0 } },
    walk: { follows: "generate-videos", captures: { PROJECT: ".project_id" } },
  },
  PATCH: {
    description: "`ERR_4007` for a project that is not there, or another's.",
    request: { project_id: exampleIds.project, name: "Winter campaign" },
    responses: { 200: exampleProject() },
  },
  DELETE: {
    description:
      "Its videos stay, and are in no project then. `ERR_4007` for a project that is not there, or another's.",
    query: { project_id: exampleIds.project },
  },
} satisfies Documentation;
