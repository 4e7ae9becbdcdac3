/** Kinora's generation in the input that each of Replicate's official models takes. */
import type { Fields, Generation } from "../provider.ts";

const inputs: Readonly<Record<string, (generation: Generation) => Fields | null>> = {
  // Has one resolution, and no field for it.
  "kwaivgi/kling-v2.5-turbo-pro": (generation) => ({
    prompt: generation.prompt,
    duration: generation.durationSeconds,
    aspect_ratio: generation.aspectRatio,
    ...image("start_image", generation),
  }),
  "google/veo-3-fast": (generation) => ({
    prompt: generation.prompt,
    duration: generation.durationSeconds,
    aspect_ratio: generation.aspectRatio,
    resolution: generation.resolution,
    // On by default, and then a second costs half as much again.
    generate_audio: false,
    ...image("image", generation),
  }),
  // Uses the first 5 s of its source, and has no field for a size.
  "runwayml/gen4-aleph": ({ prompt, videoUrl, aspectRatio }) =>
    videoUrl === null ? null : { prompt, video: videoUrl, aspect_ratio: aspectRatio },
  "openai/sora-2": (generation) => {
    const orientation = orientations[generation.aspectRatio];
    // Makes 720p alone, and has no field for it.
    if (orientation === undefined || generation.resolution !== "720p") return null;
    return {
      prompt: generation.prompt,
      seconds: generation.durationSeconds,
      aspect_ratio: orientation,
      ...image("input_reference", generation),
    };
  },
};

/** Sora's own words for an aspect ratio. */
const orientations: Readonly<Record<string, string | undefined>> = {
  "16:9": "landscape",
  "9:16": "portrait",
};

function image(field: string, { imageUrl }: Generation): Fields {
  return imageUrl === null ? {} : { [field]: imageUrl };
}

/** The model's input, or null for a model whose schema is not known here, or that cannot make what is asked for. */
export function replicateInput(generation: Generation): Fields | null {
  if (!Object.hasOwn(inputs, generation.providerModel)) return null;
  const input = inputs[generation.providerModel]?.(generation) ?? null;
  return input && { ...input, ...generation.fields };
}
