/** How an operation of an endpoint is declared; the wrapper, the OpenAPI document and the contract tests read it. */
import type * as z from "zod/mini";
import type { Config } from "../platform/config.ts";
import type { Answer, Auth, Context, Keyed, Port, SignedInput } from "./context.ts";
import type { AppError } from "../errors/app-error.ts";
import { codes, type ErrorCode } from "../errors/error-codes.ts";
import type { JsonValue } from "../platform/json.ts";
import type { PolicyName } from "./rate-limiter.ts";

export type Method = "GET" | "POST" | "PATCH" | "DELETE";

/** How long an answer is kept. */
export interface CachePolicy {
  /** Seconds from its question on. Whoever comes later asks anew, and all who come meanwhile wait for that. */
  readonly maxAgeSeconds: number;
  /** How many more seconds it is given while the database is away. */
  readonly staleIfErrorSeconds: number;
}

/** What the declaration of an operation may say. */
export interface Declaration {
  readonly method: Method;
  /**
   * What of the URL follows the endpoint's name, where a protocol asks for that: `ofrep/v1/evaluate/flags/{key}`. What stands in
   * braces is a parameter, which the service gets beside the body's fields.
   */
  readonly path?: string;
  /** One line of the OpenAPI document. */
  readonly summary: string;
  readonly auth: Auth;
  /** The rate limits that the operation's procedure takes. */
  readonly policies?: readonly PolicyName[];
  readonly idempotencyKey?: "required";
  /** Strict objects, whose unknown fields are errors. Without `query`, no parameter is allowed. */
  readonly query?: z.ZodMiniObject;
  /** The JSON body. Without `request` and `rawBody`, a body with anything in it is an error. */
  readonly request?: z.ZodMiniType;
  /** Of an operation with `request`: no body is as good as `{}`. */
  readonly bodyIsOptional?: true;
  /** The service gets the bytes, up to `maxBytes`, with headers and query, and checks the signature. */
  readonly rawBody?: { readonly maxBytes: number };
  /**
   * Of a signed operation: proves by the URL alone that the sender was told it, before the body is read. Throws ERR_4005.
   * A signature needs the body; without this, whoever knows the endpoint's name can have it read. Where every sender is told
   * the same URL, there is nothing to ask.
   */
  readonly admit?: (query: never, config: Config) => void | Promise<void>;
  /** The body's schema for each status, null where there is no body. */
  readonly response: { readonly [status: number]: z.ZodMiniType | null };
  /** Of an answer that is a text and not JSON: its media type. */
  readonly mediaType?: string;
  /** The errors of its own, beside those that `errorsOf` derives from the rest of the declaration. */
  readonly errors: readonly ErrorCode[];
  /** What the bodies of errors have beside `error`, where a protocol asks for that. */
  readonly errorMembers?: (error: AppError, parameters: Parameters) => Readonly<Record<string, JsonValue>>;
  /**
   * Of a GET without input, whose answer is the same for everybody and about nobody: how long it is kept, here and by
   * clients. Without it, answers are `no-store`.
   */
  readonly cache?: CachePolicy;
  readonly ports?: { readonly [name: string]: Port<unknown> };
  readonly service: (input: never, context: never) => Promise<Answer<unknown>>;
}

/** What stands in the URL in the place of the path's braces. */
export type Parameters = Readonly<Record<string, string>>;

/** An operation among those of its endpoint: its method, and its path where it has one. */
export type OperationKey = Method | `${Method} ${string}`;

export function operationKey({ method, path }: Pick<Declaration, "method" | "path">): OperationKey {
  return path === undefined ? method : `${method} ${path}`;
}

/** The parameters of a path that a URL's segments fit, which follow the endpoint's name; null where they do not. */
export function parametersOf(
  { path }: Pick<Declaration, "path">,
  segments: readonly string[],
): Parameters | null {
  const parts = path === undefined ? [] : path.split("/");
  if (parts.length !== segments.length) return null;
  const parameters: Record<string, string> = {};
  for (const [index, part] of parts.entries()) {
    const segment = segments[index] ?? "";
    const name = /^\{(\w+)\}$/.exec(part)?.[1];
    if (name !== undefined) parameters[name] = decoded(segment);
    else if (part !== segment) return null;
  }
  return parameters;
}

/** What is not encoded as it should be is taken as it stands. */
function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

type NamesIn<Path> = Path extends `${string}{${infer Name}}${infer Rest}` ? Name | NamesIn<Rest> : never;

type Output<Schema> = Schema extends z.ZodMiniType ? z.output<Schema> : undefined;

/** What the service gets first: the body where there is one, else the query. */
export type InputOf<D extends Declaration> = D["rawBody"] extends object ? SignedInput<Output<D["query"]>>
  : D["request"] extends z.ZodMiniType
    ? Output<D["request"]> & { readonly [Name in NamesIn<D["path"]>]: string }
  : Output<D["query"]>;

type PortsOf<D extends Declaration> = D["ports"] extends object
  ? { readonly [Name in keyof D["ports"]]: ReturnType<D["ports"][Name]> }
  : unknown;

export type ContextOf<D extends Declaration> =
  & Context<D["auth"]>
  & (D["idempotencyKey"] extends "required" ? Keyed : unknown)
  & PortsOf<D>;

type BodyOf<Response> = {
  [Status in keyof Response]: Response[Status] extends z.ZodMiniType ? z.input<Response[Status]>
    : undefined;
}[keyof Response];

/** A declaration whose service takes what the declaration gives it, and answers what it promises. */
export interface Consistent<D extends Declaration> {
  readonly service: (input: InputOf<D>, context: ContextOf<D>) => Promise<Answer<BodyOf<D["response"]>>>;
  readonly admit?: (query: Output<D["query"]>, config: Config) => void | Promise<void>;
}

const errorsOfCallers: Readonly<Record<Auth, readonly ErrorCode[]>> = {
  user: [codes["auth/unauthenticated"], codes["auth/suspended"]],
  admin: [codes["auth/unauthenticated"], codes["auth/forbidden"], codes["auth/suspended"]],
  service: [codes["auth/unauthenticated"]],
  worker: [codes["auth/unauthenticated"]],
  metrics: [codes["auth/unauthenticated"]],
  signed: [codes["auth/unauthenticated"]],
  public: [codes["auth/unauthenticated"]],
};

/** Every error that an operation may answer with: its own, and what follows from its declaration. */
export function errorsOf(operation: Declaration): ErrorCode[] {
  const { method, auth, request, idempotencyKey } = operation;
  const errors: ErrorCode[] = [
    ...operation.errors,
    ...errorsOfCallers[auth],
    ...(request ? [codes["request/not-json"]] as const : []),
    // A GET has no body.
    ...(method === "GET" ? [] : [codes["request/too-large"]] as const),
    ...(idempotencyKey
      ? [
        codes["idempotency/key-missing"],
        codes["idempotency/key-reused"],
        codes["idempotency/in-progress"],
      ] as const
      : []),
    // A network that keeps sending what is refused is told so everywhere. Parameters are checked everywhere, and anybody may find the database gone or a bug.
    codes["limit/rate-exceeded"],
    codes["request/malformed"],
    codes["database/unavailable"],
    codes["internal/error"],
  ];
  return [...new Set(errors)].sort();
}
