/** The cleaned copies of pictures in storage, and where they are. */
import type { UploadStorage } from "../../platform/storage.ts";
import { type CleanImage, cleanImage } from "./clean.ts";
import { type ImageType, UnusableImage } from "./picture.ts";

/** How long a copy may take; a picture has 10 MB at most. */
const uploadMilliseconds = 15_000;

const extensions: Readonly<Record<ImageType, string>> = {
  "image/jpeg": "jpg",
  "image/png": "png",
  "image/webp": "webp",
};

/** What the database keeps of a copy. */
export type Copy = {
  path: string;
  content_type: ImageType;
  bytes: number;
  width: number;
  height: number;
};

/** Where an upload's user writes. */
export function incomingIn(folder: string): string {
  return `${folder}/incoming`;
}

/** The picture in a file of an upload, null where there is none. Throws UnusableImage, also where it is not what was told. */
export function readImage(
  file: Uint8Array | null,
  told: { readonly content_type: ImageType; readonly bytes: number },
): CleanImage {
  if (file === null) throw new UnusableImage("missing", "there is no file");
  const image = cleanImage(file);
  if (file.length > told.bytes) {
    throw new UnusableImage("too_large", `${file.length} bytes instead of ${told.bytes}`);
  }
  if (image.contentType !== told.content_type) {
    throw new UnusableImage("wrong_type", `${image.contentType} instead of ${told.content_type}`);
  }
  return image;
}

/** Writes the picture into a folder, under a name that nobody was told or can guess. Throws ERR_6002. */
export async function keepCopy(
  { content, contentType, width, height }: CleanImage,
  folder: string,
  uploads: Pick<UploadStorage, "upload">,
): Promise<Copy> {
  const path = `${folder}/${crypto.randomUUID()}.${extensions[contentType]}`;
  const signal = AbortSignal.timeout(uploadMilliseconds);
  await uploads.upload(path, new Blob([content]).stream(), contentType, signal);
  return { path, content_type: contentType, bytes: content.length, width, height };
}
