/** The models that the fal simulator has, with the inputs they take and the outputs they give. */
import * as z from "zod";
import { textIn } from "../engine/jobs.ts";
import { type Made, numberIn, pictureOf } from "../engine/made.ts";

const prompt = z.string();
const shapes = z.enum(["16:9", "9:16"]);
const sora = {
  prompt,
  duration: z.literal([4, 8, 12]).optional(),
  delete_video: z.boolean().optional(),
};

/** As the models' own pages list them, without what Kinora does not send. fal's models ignore fields they do not know. */
const models: Readonly<Record<string, z.ZodType>> = {
  "fal-ai/kling-video/v2.5-turbo/pro/text-to-video": z.object({
    prompt,
    duration: z.enum(["5", "10"]).optional(),
    aspect_ratio: z.enum(["16:9", "9:16", "1:1"]).optional(),
    negative_prompt: z.string().optional(),
  }),
  "fal-ai/veo3/fast": z.object({
    prompt,
    duration: z.enum(["4s", "6s", "8s"]).optional(),
    aspect_ratio: shapes.optional(),
    resolution: z.enum(["720p", "1080p"]).optional(),
    generate_audio: z.boolean().optional(),
    negative_prompt: z.string().optional(),
    seed: z.int().optional(),
  }),
  "fal-ai/krea-wan-14b/video-to-video": z.object({
    prompt,
    video_url: z.url(),
    strength: z.number().min(0.01).max(1).optional(),
    seed: z.int().optional(),
  }),
  "fal-ai/sora-2/text-to-video": z.object({
    ...sora,
    aspect_ratio: shapes.optional(),
    resolution: z.literal("720p").optional(),
  }),
  "fal-ai/sora-2/image-to-video": z.object({
    ...sora,
    image_url: z.url(),
    aspect_ratio: z.enum(["auto", "16:9", "9:16"]).optional(),
    resolution: z.enum(["auto", "720p"]).optional(),
  }),
};

/** Whether fal has the model. */
export function hasModel(model: string): boolean {
  return Object.hasOwn(models, model);
}

/** The video that an input orders. */
export function orderIn(model: string, input: unknown): Made {
  // What a model makes that is asked for nothing.
  const [seconds, resolution] = model.includes("kling")
    ? [5, "1080p"]
    : model.includes("veo3")
    ? [8, "720p"]
    : model.includes("wan")
    ? [5, "480p"]
    : [4, "720p"];
  const asked = textIn(input, "resolution");
  return {
    seconds: numberIn(input, "duration", seconds),
    ...pictureOf(
      Number.parseInt(asked === "" || asked === "auto" ? resolution : asked),
      textIn(input, "aspect_ratio"),
    ),
  };
}

/** Every error of an input, in the form that fal's models answer; none for one that the model takes. */
export function inputErrors(model: string, input: unknown): object[] {
  const issues = models[model]?.safeParse(input, { reportInput: true }).error?.issues ?? [];
  return issues.map((issue) => {
    const error = { loc: ["body", ...issue.path], input: issue.input };
    if (issue.path.length === 0) {
      return { ...error, msg: "Input should be a valid dictionary", type: "dict_type" };
    }
    if (issue.input === undefined) return { loc: error.loc, msg: "Field required", type: "missing" };
    if (issue.code === "invalid_value") {
      const values = issue.values.map((value) => typeof value === "string" ? `'${value}'` : String(value));
      const expected = [values.slice(0, -1).join(", "), ...values.slice(-1)].filter((part) => part !== "")
        .join(" or ");
      return { ...error, msg: `Input should be ${expected}`, type: "literal_error", ctx: { expected } };
    }
    if (issue.path.includes("image_url") || issue.path.includes("video_url")) {
      const url = "https://docs.fal.ai/errors#file_download_error";
      return { ...error, msg: "Failed to download the file.", type: "file_download_error", url };
    }
    const [kind, type] = issue.code === "invalid_type" && issue.expected === "boolean"
      ? ["boolean", "bool_type"]
      : ["string", "string_type"];
    return { ...error, msg: `Input should be a valid ${kind}`, type };
  });
}

/** What a model answers when it has made the video at `videoUrl`. */
export function modelOutput(model: string, requestId: string, videoUrl: string, fileSize: number): object {
  const video = { url: videoUrl, content_type: "video/mp4", file_name: "output.mp4", file_size: fileSize };
  if (!model.startsWith("fal-ai/sora-2/")) return { video };
  return {
    video,
    video_id: `video_${requestId.replaceAll("-", "")}`,
    thumbnail: { url: videoUrl.replace(/\.mp4$/, ".jpg"), content_type: "image/jpeg" },
  };
}
