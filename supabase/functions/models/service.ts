import type { Answer, Context } from "../_shared/context.ts";
import type { Catalogue, VideosDatabase } from "../_shared/database/videos.ts";
import type { ModelsResponse } from "./schema.ts";

/** The catalogue is the same for everybody; so old may a change of it be before clients see it. */
const memoryMilliseconds = 60_000;

/** Of this isolate. */
let remembered: { catalogue: Catalogue; until: number } | null = null;

/** Answers from memory for up to a minute, without asking the database. */
export async function listModels(
  _input: unknown,
  context: Context<"user"> & { database: Pick<VideosDatabase, "listModels"> },
): Promise<Answer<ModelsResponse>> {
  const now = context.now();
  if (remembered === null || now >= remembered.until) {
    const catalogue = await context.database.listModels(context.caller.userId);
    remembered = { catalogue, until: now + memoryMilliseconds };
  }
  const { version, models } = remembered.catalogue;
  return { status: 200, body: { models }, headers: { ETag: `"${version}"` } };
}

/** Forgets the catalogue, as a new isolate has. */
export function forgetModels(): void {
  remembered = null;
}
