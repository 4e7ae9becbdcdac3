/** Kinora's generation in the input of Runway's video models, which differ in what they can make. */
import type { Fields, Generation } from "../provider.ts";

export interface RunwayInput {
  readonly endpoint: "text_to_video" | "image_to_video";
  readonly body: Fields;
}

/** By resolution and aspect ratio; `ratio` is the size of the picture. */
type Ratios = Readonly<Record<string, string>>;

interface Model {
  readonly text: Ratios;
  readonly image: Ratios;
  /** Fields that the model has of its own. */
  readonly fields: Readonly<Record<string, boolean>>;
}

const hd: Ratios = { "720p 16:9": "1280:720", "720p 9:16": "720:1280" };
const fullHd: Ratios = { ...hd, "1080p 16:9": "1920:1080", "1080p 9:16": "1080:1920" };
// Sound costs extra, and Kinora's prices are without it.
const veo: Model = { text: fullHd, image: fullHd, fields: { audio: false } };

const models: Readonly<Record<string, Model>> = {
  "gen4.5": { text: hd, image: { ...hd, "720p 1:1": "960:960" }, fields: {} },
  "veo3.1": veo,
  "veo3.1_fast": veo,
};

/** What to send, and where; null for a model that is not known here, or that cannot make what is asked for. */
export function runwayInput(generation: Generation): RunwayInput | null {
  const { providerModel, imageUrl, prompt, durationSeconds, resolution, aspectRatio } = generation;
  if (!Object.hasOwn(models, providerModel)) return null;
  const model = models[providerModel];
  const ratio = model?.[imageUrl === null ? "text" : "image"][`${resolution} ${aspectRatio}`];
  if (model === undefined || ratio === undefined) return null;
  return {
    endpoint: imageUrl === null ? "text_to_video" : "image_to_video",
    body: {
      model: providerModel,
      promptText: prompt,
      duration: durationSeconds,
      ratio,
      ...(imageUrl === null ? {} : { promptImage: imageUrl }),
      ...model.fields,
      ...generation.fields,
    },
  };
}
