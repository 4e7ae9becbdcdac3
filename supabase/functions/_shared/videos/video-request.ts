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

/** As a model declares it; nobody could ask for another one. */
const inputName = /^[a-z][a-z0-9_]{0,39}$/;

/** By their names; an option or an input that is not there has the model's default. */
type Settings = Record<string, NonNullable<z.infer<typeof input>>>;

/** By its form; which of them a model has, and within which bounds, it says itself. */
const input = z.union([
  z.boolean(),
  z.number(),
  userText(2000, { lines: "several" }),
  // As many pictures as a model may take.
  z.array(z.guid().check(z.toLowerCase())).check(z.minLength(1), z.maxLength(20)),
  z.null(),
]);

export const GenerateVideoRequest = z.strictObject({
  model_id: z.guid().check(z.toLowerCase()),
  // With tabs and line breaks, which prompts have between their shots.
  prompt: userText(2000, { lines: "several" }),
  settings: z.pipe(
    optional(z.catchall(
      z.object({
        duration_seconds: optional(z.int().check(z.positive(), z.maximum(600))),
        resolution: optional(setting),
        aspect_ratio: optional(setting),
      }),
      input,
    )),
    z.transform((settings, { issues }): Settings => {
      const given = Object.entries(settings ?? {});
      for (const [name] of given) {
        if (inputName.test(name)) continue;
        issues.push({ code: "custom", input: settings, path: [name], message: "Unknown field" });
      }
      // What is null is as if it were not sent.
      return Object.fromEntries(
        given.flatMap(([name, value]) => value === null || value === undefined ? [] : [[name, value]]),
      );
    }),
  ),
  image_url: optional(ImageUrl),
  image_upload_id: optional(z.guid().check(z.toLowerCase())),
  client_reference: optional(ClientReference),
  project_id: optional(ProjectId),
  source_job_id: optional(z.guid().check(z.toLowerCase())),
}).check(z.refine(
  ({ image_url, image_upload_id }) => image_url === undefined || image_upload_id === undefined,
  { path: ["image_upload_id"], error: "Must not be given together with image_url" },
));
export type GenerateVideoRequest = z.infer<typeof GenerateVideoRequest>;

/** The settings of every model, which are no texts of the user's. */
const options = ["duration_seconds", "resolution", "aspect_ratio"];

/** Whether the prompt is all that there is to judge of a request, and no file of ours is needed for it. */
export function isPromptAlone(
  { image_url, image_upload_id, source_job_id, settings }: GenerateVideoRequest,
): boolean {
  return image_url === undefined && image_upload_id === undefined && source_job_id === undefined &&
    Object.keys(settings).every((name) => options.includes(name));
}
