import { actor, type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { readCursor, writeCursor } from "../_shared/request/cursor.ts";
import { Project } from "../_shared/videos/contract.ts";
import {
  type CreateProjectRequest,
  DeletedProject,
  type DeleteProjectQuery,
  ProjectsPage,
  ProjectsPosition,
  type ProjectsQuery,
  type ProjectsResponse,
  type RenameProjectRequest,
} from "./schema.ts";

type ProjectsContext = Context<"user"> & { database: Database };

/** A page of the caller's projects. */
export async function listProjects(
  { cursor, ...list }: ProjectsQuery,
  context: ProjectsContext,
): Promise<Answer<ProjectsResponse>> {
  const args = { ...fields(list), ...actor(context), p_after: readCursor(ProjectsPosition, cursor) };
  const { projects, next } = await context.database.call("get_projects", args, ProjectsPage);
  return { status: 200, body: { projects, next_cursor: writeCursor(next) } };
}

/** Makes a project; a second call makes another. */
export async function createProject(
  request: CreateProjectRequest,
  context: ProjectsContext,
): Promise<Answer<Project>> {
  const args = { ...fields(request), ...actor(context) };
  return { status: 201, body: await context.database.call("post_projects", args, Project) };
}

/** Gives a project another name. Throws ERR_4007 for one that is not the caller's. */
export async function renameProject(
  request: RenameProjectRequest,
  context: ProjectsContext,
): Promise<Answer<Project>> {
  const args = { ...fields(request), ...actor(context) };
  return { status: 200, body: await context.database.call("patch_projects", args, Project) };
}

/** Deletes a project, and none of its jobs. Throws ERR_4007 for one that is not the caller's, or is gone. */
export async function deleteProject(
  query: DeleteProjectQuery,
  context: ProjectsContext,
): Promise<Answer<never>> {
  await context.database.call("delete_projects", { ...fields(query), ...actor(context) }, DeletedProject);
  return { status: 204 };
}
