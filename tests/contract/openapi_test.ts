import assert from "node:assert/strict";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import * as z from "zod/mini";
import { errorCodes, isErrorCode } from "../../supabase/functions/_shared/errors/error-codes.ts";
import { type Declaration, errorsOf } from "../../supabase/functions/_shared/endpoint/operation.ts";
import {
  clientTypesFile,
  declaredOperations,
  generateClientTypes,
  generateOpenApi,
  labelOf,
  openApiFile,
} from "./generate-openapi.ts";
import { openApiDocument } from "./openapi.ts";
import { resolved, withoutReferences } from "./openapi-schemas.ts";

// Documents are read as JSON, as their readers do.
// deno-lint-ignore no-explicit-any
type Json = any;

const endpoints = await declaredOperations();
const document: Json = JSON.parse(await Deno.readTextFile(openApiFile));

/** Every value under the key, anywhere in a document. */
function valuesOf(key: string, value: Json): Json[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => [
    ...(name === key ? [member] : []),
    ...valuesOf(key, member),
  ]);
}

const resolve = (reference: string): Json => resolved(document, reference);
/** To be read without following references. */
const whole: Json = withoutReferences(document);

Deno.test("openapi.json is what the endpoints declare; `deno task generate` writes it anew", async () => {
  assert.equal(await Deno.readTextFile(openApiFile), await generateOpenApi());
});

Deno.test("the types of the client package are what openapi.json says; `deno task generate` writes it anew", async () => {
  const openApi = await Deno.readTextFile(openApiFile);
  assert.equal(await Deno.readTextFile(clientTypesFile), await generateClientTypes(openApi));
});

Deno.test("openapi.json is valid OpenAPI, and a linter with its recommended rules finds nothing in it", async () => {
  const config = await createConfig({ extends: ["recommended"] });
  const problemsOf = async (source: string) =>
    (await lintFromString({ source, config })).map(({ ruleId, message }) => `${ruleId}: ${message}`);
  const source = await Deno.readTextFile(openApiFile);
  // Its members are the details of errors, which stand open in answers.
  const forTypesAlone = 'no-unused-components: Component: "ErrorDetails" is never used.';
  assert.deepEqual(await problemsOf(source), [forTypesAlone]);
  const broken = source.replace('"openapi": "3.1.0"', '"openapi": "3.1.0", "nonsense": 1');
  assert.deepEqual(await problemsOf(broken), [
    "struct: Property `nonsense` is not expected here.",
    forTypesAlone,
  ]);
});

Deno.test("every reference in openapi.json leads somewhere", () => {
  const references = valuesOf("$ref", document);
  assert(references.length > 0);
  for (const reference of references) assert.notEqual(resolve(reference), undefined, reference);
});

Deno.test("what every endpoint answers is a component with a name, and so is every error", () => {
  for (const path of Object.values<Json>(document.paths)) {
    for (const { responses, requestBody, operationId } of Object.values<Json>(path)) {
      for (const [status, response] of Object.entries<Json>(responses)) {
        const [[type, { schema } = {}] = []] = [Object.entries<Json>(response.content ?? {})[0]];
        const isNamed = type?.startsWith("text/") ||
          (response.$ref ?? schema?.$ref ?? schema?.anyOf?.every((each: Json) => each.$ref));
        assert(isNamed || response.content === undefined, `${operationId} ${status}`);
      }
      const body = requestBody?.content["application/json"].schema;
      assert(body === undefined || body.$ref || body.description, `The request of ${operationId}`);
    }
  }
});

Deno.test("each operation says who may call it, and what it may answer", () => {
  const schemes: Record<Declaration["auth"], string[][]> = {
    user: [["publishableKey", "userToken"]],
    admin: [["publishableKey", "userToken"]],
    service: [["secretKey"]],
    worker: [["workerKey"], ["secretKey"]],
    metrics: [["metricsToken"], ["secretKey"]],
    signed: [],
    public: [[], ["secretKey"]],
  };
  for (const [name, operations] of endpoints) {
    for (const operation of operations) {
      const [method = "", place] = labelOf(name, operation).split(" ");
      const described = document.paths[`/${place}`][method.toLowerCase()];
      assert.deepEqual(
        described.security.map((scheme: Json) => Object.keys(scheme)),
        schemes[operation.auth],
        name,
      );

      const codes = errorsOf(operation);
      for (const code of codes) {
        const response = whole.paths[`/${place}`][method.toLowerCase()].responses[errorCodes[code].status];
        assert.equal(
          response.content["application/json"].examples[code].value.error.code,
          code,
          `${name} ${code}`,
        );
      }
      const statuses = [
        ...Object.keys(operation.response),
        ...codes.map((code) => String(errorCodes[code].status)),
      ];
      assert.deepEqual(Object.keys(described.responses).sort(), [...new Set(statuses)].sort(), name);
    }
  }
  const described = Object.values<Json>(document.paths).flatMap((path) => Object.keys(path));
  assert.equal(described.length, [...endpoints.values()].flat().length);
});

Deno.test("a keyed operation asks for the key, and no other does", () => {
  for (const [name, operations] of endpoints) {
    for (const operation of operations) {
      const { idempotencyKey } = operation;
      const [method = "", place] = labelOf(name, operation).split(" ");
      const { parameters } = document.paths[`/${place}`][method.toLowerCase()];
      const keys = parameters.map((parameter: Json) => resolve(parameter.$ref ?? "")?.name);
      assert.equal(keys.includes("Idempotency-Key"), idempotencyKey === "required", name);
    }
  }
});

Deno.test("requests are closed and answers are open to new fields", () => {
  for (const path of Object.values<Json>(whole.paths)) {
    for (const { requestBody, responses, tags } of Object.values<Json>(path)) {
      assert(!valuesOf("additionalProperties", responses).includes(false));
      if (requestBody === undefined || tags.includes("machines")) continue;
      assert.equal(requestBody.content["application/json"].schema.additionalProperties, false);
    }
  }
});

Deno.test("every code has an example with all its details and no placeholder left", () => {
  const operation: Declaration = {
    method: "GET",
    summary: "Fails in every way",
    auth: "public",
    response: { 200: z.object({}) },
    errors: Object.keys(errorCodes).filter(isErrorCode),
    service: () => Promise.reject(new Error("not called")),
  };
  const made = openApiDocument(new Map([["example", [operation]]]));
  const { responses }: Json = valuesOf("get", withoutReferences(made))[0];
  for (const code of operation.errors) {
    const response = responses[errorCodes[code].status];
    const { error } = response.content["application/json"].examples[code].value;
    assert.deepEqual(Object.keys(error.details), errorCodes[code].details);
    assert.doesNotMatch(error.message, /[{}]/);
    assert(!("retry_after" in error.details) || "Retry-After" in response.headers);
  }
});

/** What Apple's swift-openapi-generator makes of a schema nothing of, and says so in a warning (its isSchemaSupported). */
function unsupportedInSwift(schema: Json, path: string): string[] {
  const types: string[] = [schema.type ?? []].flat();
  const choices: Json[] = schema.anyOf ?? schema.oneOf ?? schema.allOf ?? [];
  const members = { ...schema.properties, ...(schema.items && { items: schema.items }) };
  return [
    ...(types.length > 0 && types.every((type) => type === "null") ? [`${path}: null alone`] : []),
    ...(types.filter((type) => type !== "null").length > 1 ? [`${path}: several types`] : []),
    ...("not" in schema ? [`${path}: not`] : []),
    ...("nullable" in schema ? [`${path}: nullable, which 3.1 has no more`] : []),
    ...choices.flatMap((choice, index) => unsupportedInSwift(choice, `${path}/${index}`)),
    ...Object.entries<Json>(members).flatMap(([name, member]) =>
      unsupportedInSwift(member, `${path}.${name}`)
    ),
  ];
}

Deno.test("Apple's generator for Swift finds a property for everything that is answered", () => {
  for (const [name, schema] of Object.entries<Json>(document.components.schemas)) {
    assert.deepEqual(unsupportedInSwift(schema, name), []);
  }
  const refused = [
    { type: "null" },
    { anyOf: [{ type: "string" }, { type: "null" }] },
    { type: "object", properties: { one: { not: {} } } },
    { type: "array", items: { type: ["string", "integer"] } },
    { type: "string", nullable: true },
  ];
  for (const schema of refused) {
    assert.equal(unsupportedInSwift(schema, "it").length, 1, JSON.stringify(schema));
  }
});

Deno.test("what may be null says so by its type, also where it has a name or is an enumeration", () => {
  const { Job, Profile, GenerateVideoRequest, JobError } = document.components.schemas;
  assert.deepEqual(Job.properties.video_url, { type: ["string", "null"], format: "uri" });
  assert.deepEqual(Profile.properties.language, { type: ["string", "null"], enum: ["en", "tr", "es", null] });
  assert.deepEqual(GenerateVideoRequest.properties.client_reference.type, ["string", "null"]);
  assert.deepEqual([JobError.type, Job.properties.error.$ref], [
    ["object", "null"],
    "#/components/schemas/JobError",
  ]);
});

Deno.test("no object or enumeration is described twice without a name, so that a client has one type for one thing", () => {
  const places = new Map<string, string[]>();
  const collect = (value: Json, path: string) => {
    if (typeof value !== "object" || value === null) return;
    const isThing = value.properties !== undefined && Object.keys(value.properties).length > 0 ||
      value.enum !== undefined && !value.enum.includes(null) && value.enum.length > 1;
    if (isThing) {
      const { description: _, ...thing } = value;
      const text = JSON.stringify(thing);
      places.set(text, [...places.get(text) ?? [], path]);
    }
    for (const [key, member] of Object.entries(value)) {
      if (!["example", "examples", "enum"].includes(key)) collect(member, `${path}/${key}`);
    }
  };
  // No answer is of ErrorDetails: what it holds is for types alone.
  const { ErrorDetails: _, ...answered } = document.components.schemas;
  collect(answered, "");
  const isNamed = (path: string) => path.split("/").length === 2;
  assert.deepEqual([...places.values()].filter((paths) => paths.length > 1 && !paths.every(isNamed)), []);
});

Deno.test("names in Swift differ: of components, and of an operation's own", () => {
  const operations = Object.values<Json>(document.paths).flatMap((path) => Object.values<Json>(path));
  const ids = operations.map(({ operationId }) => operationId);
  assert.equal(new Set(ids.map((id) => id.toLowerCase())).size, ids.length);
  const names = Object.keys(document.components.schemas);
  assert.equal(new Set(names.map((name) => name.toLowerCase())).size, names.length);
  for (const name of [...ids, ...names]) assert.match(name, /^[A-Za-z]\w*$/);
});
