import type { Consistent, Declaration } from "./operation.ts";

export interface Endpoint {
  readonly fetch: (request: Request) => Promise<Response>;
  readonly operations: readonly Declaration[];
}

export function endpoint<const D extends readonly Declaration[]>(
  ...operations: { readonly [I in keyof D]: D[I] & Consistent<D[I]> }
): Endpoint {
  return { operations, fetch: () => Promise.reject(new Error("draft")) };
}
