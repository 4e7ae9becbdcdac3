/** The models that the fal simulator has, with the inputs they take and the outputs they give. */

/** One error of an input, in the form that fal's models answer. */
export interface InputError {
  readonly loc: readonly string[];
  readonly msg: string;
  readonly type: string;
  readonly url?: string;
  readonly ctx?: Readonly<Record<string, unknown>>;
  readonly input?: unknown;
}

type Field =
  | { readonly kind: "text" | "url" | "boolean"; readonly required?: true }
  | { readonly kind: "choice"; readonly values: readonly (string | number)[] };

const prompt: Field = { kind: "text", required: true };
const choice = (...values: (string | number)[]): Field => ({ kind: "choice", values });

/** As the models' own pages list them, without what Kinora does not send. */
const models: Readonly<Record<string, Readonly<Record<string, Field>>>> = {
  "fal-ai/kling-video/v2.5-turbo/pro/text-to-video": {
    prompt,
    duration: choice("5", "10"),
    aspect_ratio: choice("16:9", "9:16", "1:1"),
    negative_prompt: { kind: "text" },
  },
  "fal-ai/veo3/fast": {
    prompt,
    duration: choice("4s", "6s", "8s"),
    aspect_ratio: choice("16:9", "9:16"),
    resolution: choice("720p", "1080p"),
    generate_audio: { kind: "boolean" },
    negative_prompt: { kind: "text" },
  },
  "fal-ai/sora-2/text-to-video": {
    prompt,
    duration: choice(4, 8, 12),
    aspect_ratio: choice("16:9", "9:16"),
    resolution: choice("720p"),
    delete_video: { kind: "boolean" },
  },
  "fal-ai/sora-2/image-to-video": {
    prompt,
    image_url: { kind: "url", required: true },
    duration: choice(4, 8, 12),
    aspect_ratio: choice("auto", "16:9", "9:16"),
    resolution: choice("auto", "720p"),
    delete_video: { kind: "boolean" },
  },
};

/** Whether fal has the endpoint. */
export function hasModel(endpoint: string): boolean {
  return Object.hasOwn(models, endpoint);
}

/** Every error of an input; none for one that the model takes. fal's models ignore fields they do not know. */
export function inputErrors(endpoint: string, input: unknown): InputError[] {
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    return [{ loc: ["body"], msg: "Input should be a valid dictionary", type: "dict_type", input }];
  }
  const values: Record<string, unknown> = { ...input };
  return Object.entries(models[endpoint] ?? {}).flatMap(([name, field]) => {
    const error = valueError(field, values[name]);
    return error === null ? [] : [{ loc: ["body", name], ...error }];
  });
}

function valueError(field: Field, value: unknown): Omit<InputError, "loc"> | null {
  if (value === undefined) {
    const isRequired = field.kind !== "choice" && field.required === true;
    return isRequired ? { msg: "Field required", type: "missing" } : null;
  }
  switch (field.kind) {
    case "choice": {
      if (field.values.some((allowed) => allowed === value)) return null;
      const expected = field.values.map((allowed) => typeof allowed === "string" ? `'${allowed}'` : allowed);
      const list = [expected.slice(0, -1).join(", "), ...expected.slice(-1)].filter((part) => part !== "");
      const ctx = { expected: list.join(" or ") };
      return { msg: `Input should be ${ctx.expected}`, type: "literal_error", ctx, input: value };
    }
    case "boolean":
      return typeof value === "boolean"
        ? null
        : { msg: "Input should be a valid boolean", type: "bool_type", input: value };
    case "url":
      return typeof value === "string" && URL.canParse(value) ? null : {
        msg: "Failed to download the file.",
        type: "file_download_error",
        url: "https://docs.fal.ai/errors#file_download_error",
        input: value,
      };
    case "text":
      return typeof value === "string"
        ? null
        : { msg: "Input should be a valid string", type: "string_type", input: value };
  }
}

/** What a model answers when it has made the video at `videoUrl`. */
export function modelOutput(
  endpoint: string,
  requestId: string,
  videoUrl: string,
  fileSize: number,
): object {
  const video = { url: videoUrl, content_type: "video/mp4", file_name: "output.mp4", file_size: fileSize };
  if (!endpoint.startsWith("fal-ai/sora-2/")) return { video };
  return {
    video,
    video_id: `video_${requestId.replaceAll("-", "")}`,
    thumbnail: { url: videoUrl.replace(/\.mp4$/, ".jpg"), content_type: "image/jpeg" },
  };
}
