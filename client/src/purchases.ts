/** What the App Store sells for Kinora, and what the user has bought. */
import { type Calls, pages, type Query } from "./calls.ts";
import { type ErrorDetails, KinoraError } from "./errors.ts";
import type { components } from "./openapi.ts";
import type { CallOptions } from "./retry.ts";

type Schemas = components["schemas"];

/** What a StoreKit plugin gives: `jwsRepresentation`, and how the transaction is finished. */
export interface StoreTransaction {
  readonly signed: string;
  finish(): Promise<void>;
}

/** Reasons of ERR_4016 after which a transaction is done with, though the caller was not credited. */
const doneWith: readonly ErrorDetails["ERR_4016"]["reason"][] = [
  "revoked",
  "expired",
  "family_shared",
  "other_account",
];

export class Purchases {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** What is sold; StoreKit has the prices. */
  async products(options?: CallOptions): Promise<Schemas["Product"][]> {
    const { products } = await this.#calls.call((api, init) => api.GET("/products", init), options, {
      isPublic: true,
    });
    return products;
  }

  /**
   * Presents a transaction of the App Store, and finishes it when it is done with: credited, once however often it is
   * presented, or not the caller's, for which it gives null. Throws where it must be presented again later, unfinished.
   */
  async present(
    { signed, finish }: StoreTransaction,
    options?: CallOptions,
  ): Promise<Schemas["CreditedPurchase"] | null> {
    const body = { signed_transaction: signed };
    let purchase: Schemas["CreditedPurchase"] | null = null;
    try {
      purchase = await this.#calls.call((api, init) => api.POST("/purchases", { ...init, body }), options);
    } catch (error) {
      const isDone = error instanceof KinoraError && error.code === "ERR_4016" &&
        doneWith.includes(error.details.reason);
      if (!isDone) throw error;
    }
    await finish();
    return purchase;
  }

  /** All that the user bought, newest first; pages are asked for as they are needed. */
  list(
    query: Query<"/purchases"> = {},
    options?: CallOptions,
  ): AsyncGenerator<Schemas["Purchase"], void, undefined> {
    return pages(async (cursor) => {
      const page = await this.#calls.call(
        (api, init) => api.GET("/purchases", { ...init, params: { query: { ...query, ...cursor } } }),
        options,
      );
      return [page.purchases, page.next_cursor];
    });
  }
}
