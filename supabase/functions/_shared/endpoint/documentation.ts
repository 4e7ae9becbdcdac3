/**
 * What the API's documents say about an endpoint beside its declaration. Each endpoint has a documentation.ts of it, which
 * nothing that is deployed imports; tests hold its examples to the schemas, and call the endpoint as they show.
 */
import type { Method } from "./operation.ts";

export type Documentation =
  & { readonly [M in Method]?: OperationDocumentation }
  & { readonly [operation: `${Method} ${string}`]: OperationDocumentation };

export interface OperationDocumentation {
  /** What it does, and what whoever calls it must know; in Markdown. */
  readonly description: string;
  /** What stands in the place of the path's braces in an example request. */
  readonly path?: Readonly<Record<string, string>>;
  /** Parameters of an example request, and its body. */
  readonly query?: Readonly<Record<string, string>>;
  readonly request?: unknown;
  /** A body for each status that has one. */
  readonly responses?: { readonly [status: number]: unknown };
  /** Headers of the answer with this status, beside those that every answer has. */
  readonly headers?: { readonly [status: number]: Readonly<Record<string, HeaderDocumentation>> };
  /** Calls of the Data API before the answer to this example, where it is not one. */
  readonly dataApiCalls?: number;
  /** An app calls it while somebody looks at it, and feels a cold start: its bundle must be small. */
  readonly isHot?: true;
  readonly walk?: Walk;
}

export interface HeaderDocumentation {
  readonly description: string;
  readonly example: string;
}

/** How the documents' examples in curl, run one after the other, call it. */
export interface Walk {
  /** The endpoint that comes before this one in docs/api.md, where they are to be tried in an order. */
  readonly follows?: string;
  /** Shell commands that make what the request needs. */
  readonly before?: string;
  /** What later requests need of the answer: a variable of the shell, and where it stands. */
  readonly captures?: Readonly<Record<string, `.${string}`>>;
  /** The error's status, where what the documents print cannot succeed. */
  readonly refused?: number;
}
