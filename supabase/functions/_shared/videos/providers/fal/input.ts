/** Kinora's generation in the input that each of fal's models takes. The schemas differ in every name and type. */
import type { Fields, Generation } from "../provider.ts";

const inputs: Readonly<Record<string, (generation: Generation) => Fields | null>> = {
  // Has one resolution, and no field for it.
  "fal-ai/kling-video/v2.5-turbo/pro/text-to-video": (generation) => ({
    prompt: generation.prompt,
    duration: String(generation.durationSeconds),
    aspect_ratio: generation.aspectRatio,
  }),
  "fal-ai/veo3/fast": (generation) => ({
    prompt: generation.prompt,
    duration: `${generation.durationSeconds}s`,
    aspect_ratio: generation.aspectRatio,
    resolution: generation.resolution,
    // On by default, and then a second costs $0.15 instead of the $0.10 that Kinora's price is made from.
    generate_audio: false,
  }),
  "fal-ai/sora-2/text-to-video": sora,
  "fal-ai/sora-2/image-to-video": (generation) =>
    generation.imageUrl === null ? null : { ...sora(generation), image_url: generation.imageUrl },
  // Makes what its source is, as long and in its shape, and has no fields for that.
  "fal-ai/krea-wan-14b/video-to-video": ({ prompt, videoUrl }) =>
    videoUrl === null ? null : { prompt, video_url: videoUrl },
};

function sora(generation: Generation): Fields {
  return {
    prompt: generation.prompt,
    duration: generation.durationSeconds,
    aspect_ratio: generation.aspectRatio,
    resolution: generation.resolution,
  };
}

/** The model's input, or null for a model whose schema is not known here, or that needs an image or a video and has none. */
export function falInput(generation: Generation): Fields | null {
  if (!Object.hasOwn(inputs, generation.providerModel)) return null;
  const input = inputs[generation.providerModel]?.(generation) ?? null;
  return input && { ...input, ...generation.fields };
}
