import { codes } from "../_shared/errors/error-codes.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { Project } from "../_shared/videos/contract.ts";
import {
  CreateProjectRequest,
  DeleteProjectQuery,
  ProjectsQuery,
  ProjectsResponse,
  RenameProjectRequest,
} from "./schema.ts";
import { createProject, deleteProject, listProjects, renameProject } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "The caller's projects, newest first, page by page",
  auth: "user",
  policies: ["reads"],
  query: ProjectsQuery,
  response: { 200: ProjectsResponse },
  errors: [],
  ports: { database },
  service: listProjects,
}, {
  method: "POST",
  summary: "Makes a project, to sort videos by",
  auth: "user",
  policies: ["writes"],
  request: CreateProjectRequest,
  response: { 201: Project },
  errors: [],
  ports: { database },
  service: createProject,
}, {
  method: "PATCH",
  summary: "Gives a project another name",
  auth: "user",
  policies: ["writes"],
  request: RenameProjectRequest,
  response: { 200: Project },
  errors: [codes["resource/not-found"]],
  ports: { database },
  service: renameProject,
}, {
  method: "DELETE",
  summary: "Deletes a project, and none of its videos",
  auth: "user",
  policies: ["writes"],
  query: DeleteProjectQuery,
  response: { 204: null },
  errors: [codes["resource/not-found"]],
  ports: { database },
  service: deleteProject,
});
