/** What a user objects to: somebody's video, and the removal of their own. */
import type { Calls } from "./calls.ts";
import type { components } from "./openapi.ts";
import type { CallOptions } from "./retry.ts";

type Schemas = components["schemas"];

export class Safety {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** Tells the operator that a video should not be there; a second report of it changes nothing. */
  async report(report: Schemas["ReportsRequest"], options?: CallOptions): Promise<Schemas["Report"]> {
    return await this.#calls.call((api, init) => api.POST("/reports", { ...init, body: report }), options);
  }

  /**
   * Objects to the removal of the user's own video, whose `error` is then ERR_4022. Once: other words later are ERR_4009, the
   * same ones the same appeal.
   */
  async appeal(jobId: string, statement: string, options?: CallOptions): Promise<Schemas["Appeal"]> {
    const body = { job_id: jobId, statement };
    return await this.#calls.call((api, init) => api.POST("/appeals", { ...init, body }), options);
  }
}
