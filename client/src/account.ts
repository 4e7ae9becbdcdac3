/** The user's own account: what it says, where it is signed in, whom it takes in, and its end. */
import type { Calls } from "./calls.ts";
import type { Intentions } from "./intentions.ts";
import type { components } from "./openapi.ts";
import type { CallOptions } from "./retry.ts";
import { forgetSession, type Supabase } from "./session.ts";

type Schemas = components["schemas"];

export class Account {
  readonly #calls: Calls;
  readonly #supabase: Supabase;
  readonly #intentions: Intentions;

  constructor(calls: Calls, supabase: Supabase, intentions: Intentions) {
    this.#calls = calls;
    this.#intentions = intentions;
    this.#supabase = supabase;
  }

  /**
   * Makes a guest a part of this user, who has an account of their own: what the guest has is theirs. For the guest's access
   * token, which must be new: refresh the guest's session before. So are the guest's intentions in this Kinora's store, whose
   * keys the backend has passed on: what was done under one is not done again.
   */
  async merge(guestToken: string, options?: CallOptions): Promise<Schemas["MergedGuest"]> {
    const body = { guest_token: guestToken };
    const merged = await this.#calls.call(
      (api, init) => api.POST("/merge-guest", { ...init, body }),
      options,
    );
    await this.#intentions.pass(merged.merged_user_id, merged.user_id);
    return merged;
  }

  /** Where the user is signed in. */
  async sessions(options?: CallOptions): Promise<Schemas["GetSessionsResponse"]["sessions"]> {
    const { sessions } = await this.#calls.call((api, init) => api.GET("/sessions", init), options);
    return sessions;
  }

  /** Ends one of the user's sessions. */
  async endSession(sessionId: string, options?: CallOptions): Promise<void> {
    const query = { session_id: sessionId };
    await this.#calls.call((api, init) => api.DELETE("/sessions", { ...init, params: { query } }), options);
  }

  /** Ends all of the user's sessions but this one. */
  async endOtherSessions(options?: CallOptions): Promise<void> {
    const query = { others: "true" } as const;
    await this.#calls.call((api, init) => api.DELETE("/sessions", { ...init, params: { query } }), options);
  }

  async profile(options?: CallOptions): Promise<Schemas["Profile"]> {
    return await this.#calls.call((api, init) => api.GET("/user-profile", init), options);
  }

  /** Changes what is named, and nothing else. */
  async update(
    changes: Schemas["UpdateUserProfileRequest"],
    options?: CallOptions,
  ): Promise<Schemas["Profile"]> {
    return await this.#calls.call(
      (api, init) => api.PATCH("/user-profile", { ...init, body: changes }),
      options,
    );
  }

  /**
   * Asks for a file of all that is kept of the user, once a day: `export` of the profile has its URL, once it is there. Throws
   * ERR_4004 where today's is there already.
   */
  async export(options?: CallOptions): Promise<Schemas["AccountExport"]> {
    return await this.#calls.call((api, init) => api.POST("/user-export", init), options);
  }

  /**
   * Closes the account for good, its credits included, and forgets the session: ask the person first. Of whoever signed in
   * with Apple give the code of a new sign-in, so that Apple is told. A `subscription` in the answer goes on until
   * the person ends it at Apple's; null where the answer was lost, and the account is closed.
   */
  async close(
    { appleAuthorizationCode, ...options }: CallOptions & { appleAuthorizationCode?: string } = {},
  ): Promise<Schemas["ClosedAccount"] | null> {
    const body = appleAuthorizationCode === undefined
      ? {}
      : { body: { apple_authorization_code: appleAuthorizationCode } };
    const closed = await this.#calls.send(
      (api, init) => api.DELETE("/user-profile", { ...init, ...body }),
      options,
      { doneAs: "ERR_4005" },
    );
    await forgetSession(this.#supabase);
    return closed ?? null;
  }
}
