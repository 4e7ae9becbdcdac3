import { examplePendingJob } from "../videos/contract.ts";
import type { StoredJob } from "../videos/contract.ts";

/** A job as the database tells it: that of the documents, still running, but for what a test is about. */
export function storedJob(given: Partial<StoredJob> = {}): StoredJob {
  return { ...examplePendingJob(), status: "processing", error: null, ...given };
}
