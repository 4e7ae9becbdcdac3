/** The video models that the Runway simulator has, with the inputs they take. */
import * as z from "zod";
import { textIn } from "../engine/jobs.ts";
import { type Made, numberIn } from "../engine/made.ts";

/** Runway counts UTF-16 code units, as JavaScript does. */
const promptText = z.string().min(1).max(1_000);
const promptImage = z.url({ protocol: /^https$/ });

const gen45 = { model: z.literal("gen4.5"), promptText, duration: z.int().min(2).max(10) };
const veo = {
  model: z.enum(["veo3.1", "veo3.1_fast"]),
  promptText,
  duration: z.union([z.literal(4), z.literal(6), z.literal(8)]).optional(),
  ratio: z.enum(["1280:720", "720:1280", "1080:1920", "1920:1080"]),
  audio: z.boolean().optional(),
};

/** By endpoint, as the API's reference lists them, without what Kinora does not send. Runway refuses other fields. */
const inputs = {
  text_to_video: z.discriminatedUnion("model", [
    z.strictObject({ ...gen45, ratio: z.enum(["1280:720", "720:1280"]) }),
    z.strictObject(veo),
  ]),
  image_to_video: z.discriminatedUnion("model", [
    z.strictObject({
      ...gen45,
      promptImage,
      ratio: z.enum(["1280:720", "720:1280", "1104:832", "960:960", "832:1104", "1584:672"]),
    }),
    z.strictObject({ ...veo, promptImage }),
  ]),
};
export type RunwayEndpoint = keyof typeof inputs;

/** Whether Runway has the endpoint. */
export function isEndpoint(name: string): name is RunwayEndpoint {
  return Object.hasOwn(inputs, name);
}

/** What is wrong with an input, in the words of the validator that Runway uses too; nothing for one that it takes. */
export function inputIssues(endpoint: RunwayEndpoint, input: unknown): readonly object[] {
  return inputs[endpoint].safeParse(input).error?.issues ?? [];
}

/** The video that an input orders; its `ratio` is the size of the picture. */
export function orderIn(_model: string, input: unknown): Made {
  const [width = 1280, height = 720] = textIn(input, "ratio").split(":").map(Number);
  return { seconds: numberIn(input, "duration", 8), width, height };
}
