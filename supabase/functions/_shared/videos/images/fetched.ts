/** The copy of what an `image_url` leads to: fetched once, looked at and cleaned as what users upload. */
import { fetchPublic, NotFetched } from "../../platform/public-fetch.ts";
import type { PublicWeb } from "../../platform/public-web.ts";
import type { UploadStorage } from "../../platform/storage.ts";
import { cleanImage } from "./clean.ts";
import { type Copy, keepCopy } from "./copies.ts";
import { maxImageBytes, UnusableImage, type UnusableReason } from "./picture.ts";

/** What became of it, as api.record_image takes it. `unavailable`: its host may have it the next time. */
export type ImageOutcome =
  | { outcome: "kept" } & Copy
  | { outcome: "unusable"; reason: UnusableReason; cause: string }
  | { outcome: "unavailable"; cause: string };

/** A host that takes longer for 10 MB is one that somebody chose for it. */
const fetchMilliseconds = 10_000;

/** Fetches the picture, and writes its copy into the folder. Throws ERR_6002. */
export async function fetchImage(
  { url, folder }: { readonly url: string; readonly folder: string },
  { web, uploads }: { readonly web: PublicWeb; readonly uploads: Pick<UploadStorage, "upload"> },
): Promise<ImageOutcome> {
  let image;
  try {
    image = cleanImage(
      await fetchPublic(web, url, { maxBytes: maxImageBytes, milliseconds: fetchMilliseconds }),
    );
  } catch (error) {
    if (!(error instanceof NotFetched || error instanceof UnusableImage)) throw error;
    const { reason, message: cause } = error;
    return reason === "passing" ? { outcome: "unavailable", cause } : { outcome: "unusable", reason, cause };
  }
  return { outcome: "kept", ...await keepCopy(image, folder, uploads) };
}
