import * as z from "zod/mini";
import { pageQuery, positionTime } from "../_shared/request/cursor.ts";
import { userText } from "../_shared/request/user-text.ts";
import { Project, ProjectId } from "../_shared/videos/contract.ts";

const name = userText(100, { lines: "one" });

export const ProjectsQuery = z.strictObject(pageQuery);
export type ProjectsQuery = z.infer<typeof ProjectsQuery>;

/** What a cursor holds: the last project that was shown. */
export const ProjectsPosition = z.strictObject({ created_at: positionTime, id: z.uuid() });

/** A page as the database tells it, with where the next one begins; null at the end. */
export const ProjectsPage = z.object({ projects: z.array(Project), next: z.nullable(ProjectsPosition) });
export type ProjectsPage = z.infer<typeof ProjectsPage>;

export const ProjectsResponse = z.object({ projects: z.array(Project), next_cursor: z.nullable(z.string()) });
export type ProjectsResponse = z.infer<typeof ProjectsResponse>;

export const CreateProjectRequest = z.strictObject({ name });
export type CreateProjectRequest = z.infer<typeof CreateProjectRequest>;

export const RenameProjectRequest = z.strictObject({ project_id: ProjectId, name });
export type RenameProjectRequest = z.infer<typeof RenameProjectRequest>;

export const DeleteProjectQuery = z.strictObject({ project_id: ProjectId });
export type DeleteProjectQuery = z.infer<typeof DeleteProjectQuery>;

export const DeletedProject = z.object({ project_id: z.uuid() });
