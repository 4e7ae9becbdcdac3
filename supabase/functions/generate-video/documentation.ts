import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";

export default {
  POST: {
    description:
      "The price is computed from model and settings, and held; a video that is not made gives it back. " +
      "Watch the job with `video-status`.\n\n" +
      "`prompt` has 1 to 2000 characters, with tabs and line breaks but no other control or direction characters; " +
      "where a model takes less, `options.prompt_max_characters` says how much, in UTF-16 units. " +
      "`settings` are options of the model and its `inputs`, by their names; defaults stand for those that are left out, and `ERR_4008` names what the model does not take. `image_url` is for models that " +
      "require an image: https, a public DNS name, no port, no credentials. It is fetched once, after the answer, and what was fetched is used; where there is no " +
      "picture the job ends with `ERR_4019`. `image_upload_id`, instead of it, is one of the caller's `uploads`, which must be `ready` " +
      "(`ERR_4009`) and there (`ERR_4007`). `source_job_id` is for models of the category `video_to_video`, which need it: a completed job of the caller's own, " +
      "`ERR_4007` where it is not there, `ERR_4009` while it runs or where it has failed. `client_reference`, 1 to 100 visible characters, is the " +
      "app's own name for the job: it is kept with it, and `video-jobs` finds it. `project_id` puts it into one of the caller's " +
      "`projects`: `ERR_4007` for any other. Optional fields may be null.\n\n" +
      "Where the operator asks for consent, `ERR_4021` names in `processors` who would get the prompt and have not all been accepted: " +
      "with `accepted_processors` of `user-profile` they are, and the same key goes on.",
    request: {
      model_id: exampleIds.model,
      prompt: "A red fox runs through fresh snow",
      settings: { aspect_ratio: "9:16" },
      client_reference: "draft-7",
    },
    responses: {
      202: {
        job_id: exampleIds.job,
        status: "pending",
        credits_used: 4,
        credits_remaining: 6,
        created_at: "2026-11-21T11:58:30.000Z",
      },
    },
    headers: {
      202: {
        Location: {
          description: "Where to watch the job",
          example: `https://project.supabase.co/functions/v1/video-status?job_id=${exampleIds.job}`,
        },
      },
    },
    isHot: true,
    walk: { follows: "models", captures: { JOB: ".job_id" } },
  },
} satisfies Documentation;
