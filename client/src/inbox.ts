/** What the user was told. */
import { type Calls, pages, type Query } from "./calls.ts";
import type { components } from "./openapi.ts";
import type { CallOptions } from "./retry.ts";

type Notification = components["schemas"]["Notification"];

export class Inbox {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** The user's notifications, newest first; pages are asked for as they are needed. With `unread: "true"` those alone. */
  list(
    query: Query<"/notifications"> = {},
    options?: CallOptions,
  ): AsyncGenerator<Notification, void, undefined> {
    return pages(async (cursor) => {
      const page = await this.#calls.call(
        (api, init) => api.GET("/notifications", { ...init, params: { query: { ...query, ...cursor } } }),
        options,
      );
      return [page.notifications, page.next_cursor];
    });
  }

  /** How many are unread, for a badge. */
  async unread(options?: CallOptions): Promise<number> {
    const query = { limit: 1 };
    const { unread } = await this.#calls.call(
      (api, init) => api.GET("/notifications", { ...init, params: { query } }),
      options,
    );
    return unread;
  }

  /** Marks some as read, 100 at most, or all of them where none are named; gives how many are left. */
  async markRead(ids?: readonly string[], options?: CallOptions): Promise<number> {
    const body = ids === undefined ? { all: true as const } : { ids: [...ids] };
    const { unread } = await this.#calls.call(
      (api, init) => api.PATCH("/notifications", { ...init, body }),
      options,
    );
    return unread;
  }
}
