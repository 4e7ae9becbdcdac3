/** What is asked for a video, by itself or among others. */
import * as z from "zod/mini";
import { ClientReference, ProjectId } from "./contract.ts";
import { publicHttpsUrl } from "../platform/public-url.ts";
import { userText } from "../request/user-text.ts";
import { optional } from "../request/validation.ts";

const urlLength = 2048;

const ImageUrl = z.pipe(
  z.string().check(z.maxLength(urlLength)),
  z.transform((text: string, { issues }): string => {
    const url = publicHttpsUrl(text);
    // Characters outside of ASCII are longer in the canonical form.
    if (url !== null && url.length <= urlLength) return url;
    const message = "Must be an https URL with a public DNS name, without port or credentials";
    issues.push({ code: "custom", input: text, message });
    return z.NEVER;
  }),
);

/** Such as 720p or 16:9; which of them, the model says. */
const setting = z.string().check(z.regex(/^[\w.:-]{1,20}$/, "Must be one of the model's options"));

export const GenerateVideoRequest = z.strictObject({
  model_id: z.guid().check(z.toLowerCase()),
  // With tabs and line breaks, which prompts have between their shots.
  prompt: userText(2000, { lines: "several" }),
  settings: z.pipe(
    optional(z.strictObject({
      duration_seconds: optional(z.int().check(z.positive(), z.maximum(600))),
      resolution: optional(setting),
      aspect_ratio: optional(setting),
    })),
    z.transform((settings) => settings ?? {}),
  ),
  image_url: optional(ImageUrl),
  image_upload_id: optional(z.guid().check(z.toLowerCase())),
  client_reference: optional(ClientReference),
  project_id: optional(ProjectId),
}).check(z.refine(
  ({ image_url, image_upload_id }) => image_url === undefined || image_upload_id === undefined,
  { path: ["image_upload_id"], error: "Must not be given together with image_url" },
));
export type GenerateVideoRequest = z.infer<typeof GenerateVideoRequest>;
