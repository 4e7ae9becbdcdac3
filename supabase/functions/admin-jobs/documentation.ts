import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";
import { exampleAdministeredJob, type GetAdminJobsResponse } from "./schema.ts";

const page: GetAdminJobsResponse = { jobs: [exampleAdministeredJob()], story: null, next_cursor: null };

export default {
  GET: {
    description:
      "All filters that are given must fit; `provider` is where a job is, or was last. With a filter a page looks through 10,000 jobs at most: " +
      "it may be shorter than `limit`, or empty, while `next_cursor` still goes on. `pending` and `processing` always find every job " +
      "that runs. With `job_id`, and nothing else, `jobs` is empty and `story` has all that there is of that one: what moved its credits, " +
      "each attempt at a provider and what that reported, its tasks, its files with URLs that are good for 10 minutes, what went wrong in the " +
      "request that made it, and what admins did about it; of each the newest 100. No answer has the prompt, nor a text of `settings`.",
    query: { status: "completed", limit: "10" },
    responses: { 200: page },
  },
  POST: {
    description:
      "What a user wrote is private: each reading is a row of `ops.admin_actions` (`read_prompt`) with its reason, which the user's export " +
      "shows, without who it was. `prompt` is null once it is erased, which is 30 days after the user deleted the job.",
    request: { job_id: exampleIds.job, reason: "The user says that the video is not what was asked for" },
    responses: { 200: { job_id: exampleIds.job, prompt: "A red fox runs through fresh snow" } },
  },
} satisfies Documentation;
