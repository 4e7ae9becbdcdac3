/** The official models that the Replicate simulator has, with the inputs they take. */
import * as z from "zod";
import { textIn } from "../engine/jobs.ts";
import { type Made, numberIn, pictureOf } from "../engine/made.ts";

const prompt = z.string().min(1);

/** As the models' own pages list them, without what Kinora does not send. */
const models: Readonly<Record<string, z.ZodType>> = {
  "kwaivgi/kling-v2.5-turbo-pro": z.object({
    prompt,
    duration: z.union([z.literal(5), z.literal(10)]).optional(),
    aspect_ratio: z.enum(["16:9", "9:16", "1:1"]).optional(),
    start_image: z.url().optional(),
  }),
  "google/veo-3-fast": z.object({
    prompt,
    duration: z.union([z.literal(4), z.literal(6), z.literal(8)]).optional(),
    aspect_ratio: z.enum(["16:9", "9:16"]).optional(),
    resolution: z.enum(["720p", "1080p"]).optional(),
    generate_audio: z.boolean().optional(),
    image: z.url().optional(),
  }),
  "runwayml/gen4-aleph": z.object({
    prompt,
    video: z.url(),
    aspect_ratio: z.enum(["16:9", "9:16", "4:3", "3:4", "1:1", "21:9"]).optional(),
    seed: z.int().optional(),
    reference_images: z.array(z.url()).max(3).optional(),
  }),
  "openai/sora-2": z.object({
    prompt,
    seconds: z.union([z.literal(4), z.literal(8), z.literal(12)]).optional(),
    aspect_ratio: z.enum(["portrait", "landscape"]).optional(),
    input_reference: z.url().optional(),
  }),
};

export interface InvalidField {
  readonly type: string;
  readonly field: string;
  readonly description: string;
}

/** Whether Replicate has the model. */
export function hasModel(name: string): boolean {
  return Object.hasOwn(models, name);
}

/** What is wrong with an input; nothing for one that the model takes. */
export function invalidFields(model: string, input: unknown): InvalidField[] {
  const issues = models[model]?.safeParse(input).error?.issues ?? [];
  return issues.map(({ code, path, message }) => ({
    type: code,
    field: ["input", ...path].join("."),
    description: message,
  }));
}

const shapes: Readonly<Record<string, string>> = { portrait: "9:16", landscape: "16:9" };

/** The video that an input orders. */
export function orderIn(model: string, input: unknown): Made {
  // What a model makes that is asked for nothing.
  const [seconds, lines] = model.includes("kling")
    ? [5, 1080]
    : model.includes("veo")
    ? [8, 1080]
    : model.includes("aleph")
    ? [5, 720]
    : [4, 720];
  const shape = textIn(input, "aspect_ratio");
  return {
    seconds: numberIn(input, "duration", numberIn(input, "seconds", seconds)),
    ...pictureOf(Number.parseInt(textIn(input, "resolution")) || lines, shapes[shape] ?? shape),
  };
}
