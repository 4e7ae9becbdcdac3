/** The devices that are told what happens to the user. */
import type { Calls } from "./calls.ts";
import type { components } from "./openapi.ts";
import type { CallOptions } from "./retry.ts";

export class Push {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /**
   * Has this device told, and nobody else's news from then on. `token` is what APNs gave the app, in hexadecimal; `sandbox` is for
   * a build that Xcode has put on the device. At each start of the app, since the token changes now and then.
   */
  async register(
    token: string,
    environment: components["schemas"]["PushTokensRequest"]["environment"] = "production",
    options?: CallOptions,
  ): Promise<void> {
    const body = { token, environment };
    await this.#calls.call((api, init) => api.POST("/push-tokens", { ...init, body }), options);
  }

  /** Tells this device nothing any more: before the user signs out, while they are still signed in. */
  async unregister(token: string, options?: CallOptions): Promise<void> {
    const query = { token };
    await this.#calls.call(
      (api, init) => api.DELETE("/push-tokens", { ...init, params: { query } }),
      options,
    );
  }
}
