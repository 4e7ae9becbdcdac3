import { admin, type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import type { Storage } from "../_shared/platform/storage.ts";
import { readCursor, writeCursor } from "../_shared/request/cursor.ts";
import {
  type GetAdminJobsQuery,
  type GetAdminJobsResponse,
  JobsPage,
  JobsPosition,
  type JobStory,
  type PostAdminJobsRequest,
  PostAdminJobsResponse,
  type StoredStory,
} from "./schema.ts";

type SigningContext = Context<"admin"> & { storage: Pick<Storage, "sign"> };

/** Whoever has the URL has the file. */
const urlSeconds = 10 * 60;

/** A page of the jobs, or the story of one. Throws ERR_4007 where there is no such job. */
export async function readJobs(
  { cursor, ...list }: GetAdminJobsQuery,
  context: SigningContext & { database: Database },
): Promise<Answer<GetAdminJobsResponse>> {
  const { caller, database } = context;
  const args = {
    ...fields(list),
    p_admin_id: caller.userId,
    p_session_id: caller.sessionId,
    p_after: readCursor(JobsPosition, cursor),
  };
  const { jobs, story, next } = await database.call("get_admin_jobs", args, JobsPage);
  return {
    status: 200,
    body: { jobs, story: story && await shownStory(story, context), next_cursor: writeCursor(next) },
  };
}

/** What the user wrote. That it was read is written down with it. Throws ERR_4007 where there is no such job. */
export async function readPrompt(
  request: PostAdminJobsRequest,
  context: Context<"admin"> & { database: Database },
): Promise<Answer<PostAdminJobsResponse>> {
  const args = { ...fields(request), ...admin(context) };
  return { status: 200, body: await context.database.call("post_admin_jobs", args, PostAdminJobsResponse) };
}

/** The story with URLs of the files. A storage that does not answer only leaves them out. */
async function shownStory(
  { files, ...story }: StoredStory,
  { storage, log }: SigningContext,
): Promise<JobStory> {
  const paths = files.map(({ path }) => path).filter((path) => path !== null);
  const urls = new Map<string | null, string | null>();
  try {
    if (paths.length > 0) {
      const signed = await storage.sign(paths, urlSeconds);
      paths.forEach((path, index) => urls.set(path, signed[index] ?? null));
    }
  } catch (error) {
    log.warn("files_not_signed", { error });
  }
  return { ...story, files: files.map(({ path, ...file }) => ({ ...file, url: urls.get(path) ?? null })) };
}
