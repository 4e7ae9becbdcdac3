/** Folders that the user puts jobs into. */
import { type Calls, pages, type Query } from "./calls.ts";
import { KinoraError } from "./errors.ts";
import type { components } from "./openapi.ts";
import type { CallOptions } from "./retry.ts";

type Project = components["schemas"]["Project"];

export class Projects {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** All of the user's projects, newest first; pages are asked for as they are needed. `jobs({ project_id })` has their jobs. */
  list(
    query: Query<"/projects"> = {},
    options?: CallOptions,
  ): AsyncGenerator<Project, void, undefined> {
    return pages(async (cursor) => {
      const page = await this.#calls.call(
        (api, init) => api.GET("/projects", { ...init, params: { query: { ...query, ...cursor } } }),
        options,
      );
      return [page.projects, page.next_cursor];
    });
  }

  /** Makes a project. Where an answer is lost it is made again, and there may be two: delete the one without jobs. */
  async create(name: string, options?: CallOptions): Promise<Project> {
    return await this.#calls.call((api, init) => api.POST("/projects", { ...init, body: { name } }), options);
  }

  async rename(projectId: string, name: string, options?: CallOptions): Promise<Project> {
    const body = { project_id: projectId, name };
    return await this.#calls.call((api, init) => api.PATCH("/projects", { ...init, body }), options);
  }

  /** Deletes a project, and none of its jobs. One that is not there is deleted. */
  async delete(projectId: string, options?: CallOptions): Promise<void> {
    const query = { project_id: projectId };
    try {
      await this.#calls.call((api, init) => api.DELETE("/projects", { ...init, params: { query } }), options);
    } catch (error) {
      if (!(error instanceof KinoraError) || error.code !== "ERR_4007") throw error;
    }
  }
}
