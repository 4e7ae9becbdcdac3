import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";
import { exampleUpload } from "../_shared/videos/contract.ts";

export default {
  GET: {
    description:
      "Newest first, `limit` at a time (1 to 100, else 20); those that were begun and not completed are `pending`, until their " +
      "URL expires. `project_id` shows those of one of the caller's `projects` (`ERR_4007` for any other). `next_cursor` is the `cursor` of the next page, and null on the last.",
    query: { limit: "10" },
    responses: { 200: { uploads: [exampleUpload()], next_cursor: null } },
    walk: { follows: "video-status" },
  },
  POST: {
    description:
      "A JPEG, PNG or WebP of up to 10 MB, 64 to 8192 pixels a side. PUT the file to `upload_url` with its `Content-Type`, or " +
      "give its path and token to supabase-js' `uploadToSignedUrl`; then PATCH. Three may be pending at the same time, more are " +
      "`ERR_4009`; one that is not completed when its URL expires is gone. `ERR_4020` says how much room there is: 100 MB for " +
      "a guest, 500 MB for whoever has signed in, 5 GB with a subscription. `project_id` puts it into one of the caller's `projects` (`ERR_4007` for any other).",
    request: { content_type: "image/png", bytes: 1_873_402 },
    responses: {
      201: {
        upload_id: exampleIds.upload,
        status: "pending",
        upload_url:
          "https://project.supabase.co/storage/v1/object/upload/sign/uploads/b1/7d/incoming?token=eyJhbGciOiJFUzI1NiJ9",
        expires_at: "2026-11-21T13:57:00.000Z",
      },
    },
    walk: { captures: { UPLOAD: ".upload_id", UPLOAD_URL: ".upload_url" } },
  },
  PATCH: {
    description:
      "The file is looked at, and copied without what else is in it: place, time, device, and what follows its end. Pixels, " +
      "orientation, colour profile and Content Credentials stay. Whatever is written to the URL from then on changes nothing. " +
      "`ERR_4019` says in `reason` why a file cannot be used: `not_an_image` (also where it is broken), `wrong_type` (another than " +
      "was told, an animation, CMYK), `too_large` (also more than was told), `wrong_size` (in pixels), `missing`; " +
      "another file may be PUT then, and the upload completed. A second call answers the same.",
    request: { upload_id: exampleIds.upload, status: "completed" },
    responses: { 200: exampleUpload() },
    dataApiCalls: 2,
    // A red square of 64 by 64.
    walk: {
      before:
        `base64 -d <<< iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAMAAACdt4HsAAAAA1BMVEUAAACnej3aAAAAG0lEQVRYw+3BgQAAAADDoPlT3+AEVQEAAAB8AxBAAAEZszF2AAAAAElFTkSuQmCC |\n  ` +
        `curl -s -X PUT "$UPLOAD_URL" -H 'Content-Type: image/png' --data-binary @-`,
    },
  },
  DELETE: {
    description:
      "The picture leaves its user's list at once, and a worker removes its files. `ERR_4009` while a video is made from it.",
    query: { upload_id: exampleIds.upload },
  },
} satisfies Documentation;
