/** docs/api.md, whose sections are made from openapi.json, so that what it says is what the endpoints declare. */
import { replaceParts, table } from "../../tools/generate/markdown.ts";
import type { Documentation, Walk } from "../../supabase/functions/_shared/endpoint/documentation.ts";
import {
  type ClientAction,
  errorCodes,
  isErrorCode,
} from "../../supabase/functions/_shared/errors/error-codes.ts";
import { errorMessages } from "../../supabase/functions/_shared/errors/error-messages.ts";
import { curlOf, supabaseJsOf } from "./api-examples.ts";
import { fieldsOf } from "./api-fields.ts";
import { resolved, withoutReferences } from "./openapi-schemas.ts";

// Documents are read as JSON, as their readers do.
// deno-lint-ignore no-explicit-any
export type Json = any;

export const apiFile = new URL("../../docs/api.md", import.meta.url);

/** An operation of the OpenAPI document, with its place in it. */
export interface Operation {
  /** Its place below the functions' URL: the endpoint's name, and its path where it has one. */
  readonly place: string;
  /** GET, POST, … */
  readonly method: string;
  readonly description: Json;
  /** A row for each parameter and each field of the body. */
  readonly inputs: string[][];
  readonly walk: Walk;
}

/** Every operation of the document, in the order of a walk through them. */
export function operationsOf(
  openApi: Json,
  documentations: ReadonlyMap<string, Documentation>,
): Operation[] {
  const places = Map.groupBy(
    Object.keys(openApi.paths).map((path) => path.slice(1)),
    (place) => place.split("/")[0] ?? "",
  );
  return inOrder([...places.keys()], documentations)
    .flatMap((endpoint) => (places.get(endpoint) ?? []).map((place) => ({ endpoint, place })))
    .flatMap(({ endpoint, place }) =>
      Object.entries<Json>(openApi.paths[`/${place}`]).map(([key, description]): Operation => {
        const method = key.toUpperCase();
        const operation = place === endpoint ? method : `${method} ${place.slice(endpoint.length + 1)}`;
        const documented = Object.entries(documentations.get(endpoint) ?? {});
        const walk: Walk | undefined = documented.find(([each]) => each === operation)?.[1].walk;
        const { responses, ...others } = description;
        const answers = Object.entries<Json>(responses).map(([status, answer]) => [
          status,
          answer.$ref === undefined ? answer : resolved(openApi, answer.$ref),
        ]);
        const whole = { ...others, responses: Object.fromEntries(answers) };
        return {
          place,
          method,
          description: whole,
          inputs: inputsOf(openApi, description),
          walk: walk ?? {},
        };
      })
    );
}

/**
 * What somebody does one after the other, who tries them all: each endpoint after the one that it follows. The others come
 * last, by their names. Throws where one follows what is not there, or itself.
 */
export function inOrder(
  endpoints: readonly string[],
  documentations: ReadonlyMap<string, Documentation>,
): string[] {
  const followed = (endpoint: string) =>
    Object.values(documentations.get(endpoint) ?? {}).map(({ walk }) => walk?.follows).find(
      Boolean,
    );
  const after = Map.groupBy(endpoints.toSorted(), followed);
  const withFollowers = (endpoint: string): string[] => [
    endpoint,
    ...(after.get(endpoint) ?? []).flatMap(withFollowers),
  ];
  const walks = (after.get(undefined) ?? []).map(withFollowers);
  const order = walks.toSorted((one, other) => Number(other.length > 1) - Number(one.length > 1)).flat();
  const lost = endpoints.filter((endpoint) => !order.includes(endpoint));
  if (lost.length > 0) {
    throw new Error(
      `documentation.ts of ${lost.join(", ")}: walk.follows must lead to an endpoint that is there`,
    );
  }
  return order;
}

function inputsOf(openApi: Json, { parameters, requestBody }: Json): string[][] {
  const query = parameters.filter(({ in: place }: Json) => place === "query");
  const body = withoutReferences(openApi, requestBody?.content["application/json"].schema);
  return [
    ...query.flatMap(({ name, required, schema }: Json) => fieldsOf({ ...schema }, name, required)),
    ...(body?.properties ? fieldsOf(body) : []),
  ];
}

/** docs/api.md with its generated parts made anew. */
export function apiDocumentOf(
  text: string,
  openApi: Json,
  documentations: ReadonlyMap<string, Documentation>,
): string {
  const operations = operationsOf(openApi, documentations);
  const sections = (tag: string) =>
    operations.filter(({ description }) => description.tags.includes(tag)).map(sectionOf).join("\n");
  return replaceParts(text, {
    errors: errorsPart(),
    app: sections("app"),
    operator: sections("operator"),
    machines: sections("machines"),
  });
}

/** What the client does next, in the words of the table. */
export const actionWords: Readonly<Record<ClientAction, string>> = {
  buy: "offer credits",
  fix: "change the request",
  later: "try again later",
  new_device_token_later: "try again later, with a new device token",
  new_key: "try again, with a new key",
  new_key_later: "try again later, with a new key",
  read_state: "read the state anew",
  same_key_later: "try again later, with the same key",
  sign_in: "sign in anew",
  stop: "give up",
};

function errorsPart(): string {
  const rows = Object.entries(errorCodes).filter(([code]) => isErrorCode(code)).map(([code, definition]) => {
    const { status, details, action, replayed } = definition;
    const message = isErrorCode(code) ? errorMessages[code].en : "";
    return [
      `\`${code}\``,
      `${status}`,
      message,
      details.map((key) => `\`${key}\``).join(", "),
      actionWords[action],
      replayed ? "the same answer" : "tried anew",
    ];
  });
  const head = [
    "code",
    "status",
    "message in English",
    "details",
    "what the client does",
    "with the same key",
  ];
  return table(head, rows).join("\n");
}

function sectionOf(operation: Operation): string {
  const { place, method, description, inputs } = operation;
  const { summary, parameters, responses } = description;
  const isQuery = parameters.some(({ in: place }: Json) => place === "query");
  return [
    `### ${method} ${place}`,
    "",
    `${summary}.`,
    "",
    description.description,
    "",
    requirementsOf(operation).join(" · "),
    "",
    ...(inputs.length > 0 ? table([isQuery ? "parameter" : "field", "type", ""], inputs) : []),
    ...Object.entries<Json>(responses).flatMap(([status, response]) => answerOf(status, response)),
    `Errors: ${errorsOf(responses).join(", ")}`,
    "",
    ...fence("sh", curlOf(operation)),
    ...(description.tags.includes("machines") ? [] : fence("ts", supabaseJsOf(operation))),
  ].join("\n");
}

/** Who may call it, and what else it asks for. */
function requirementsOf({ description }: Operation): string[] {
  const { security, tags, parameters } = description;
  const schemes = security.flatMap((each: Json) => Object.keys(each));
  const caller = schemes.includes("userToken")
    ? (tags.includes("operator") ? "Caller: an admin" : "Caller: a user")
    : !schemes.includes("secretKey")
    ? "Caller: whoever signs it"
    : schemes.includes("workerKey")
    ? "Caller: the database's worker key, or a secret key"
    : schemes.includes("metricsToken")
    ? "Caller: the token of metrics, or a secret key"
    : security.length > 1
    ? "Caller: anybody"
    : "Caller: a secret key";
  const isKeyed = parameters.some(({ $ref = "" }: Json) => $ref.endsWith("/IdempotencyKey"));
  const policies = description["x-rate-limit-policies"] ?? [];
  return [
    caller,
    ...(isKeyed ? ["`Idempotency-Key`: required"] : []),
    ...(policies.length > 0
      ? [`Rate limits: ${policies.map((name: string) => `\`${name}\``).join(", ")}`]
      : []),
  ];
}

function answerOf(status: string, { description, headers, content }: Json): string[] {
  const own = Object.entries<Json>(headers).filter(([, header]) => !("$ref" in header));
  const [type = "", media] = Object.entries<Json>(content ?? {})[0] ?? [];
  const example = media?.example ?? media?.examples?.answer?.value;
  if (Number(status) >= 400 && example === undefined) return [];
  const words = example === undefined || media?.example !== undefined ? description : "The same form";
  return [
    `**${status}** ${words}${example === undefined ? "." : ":"}`,
    "",
    ...own.flatMap(([name, header]) => [`\`${name}\`: ${header.description}, \`${header.example}\``, ""]),
    ...(example === undefined
      ? []
      : (type === "application/json" ? fence("json", printedJson(example)) : fence("text", example))),
  ];
}

/** JSON with references, and lists of plain values, on one line. */
export function printedJson(value: Json): string {
  return JSON.stringify(value, null, 2).replaceAll(
    /\[\s+([^[\]{}]+?)\s+\]/g,
    (_, items: string) => `[${items.replaceAll(/\s*\n\s*/g, " ")}]`,
  ).replaceAll(/\{\s+("\$ref": "[^"]+")\s+\}/g, "{ $1 }");
}

function errorsOf(responses: Json): string[] {
  const codes = Object.values<Json>(responses).flatMap(({ content }) =>
    Object.keys(content?.["application/json"]?.examples ?? {})
  );
  return codes.filter(isErrorCode).sort().map((code) => `\`${code}\``);
}

function fence(language: string, text: string): string[] {
  return [`\`\`\`${language}`, text, "```", ""];
}
