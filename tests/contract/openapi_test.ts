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
  assert.deepEqual(await problemsOf(source), []);
  const broken = source.replace('"openapi": "3.1.0"', '"openapi": "3.1.0", "nonsense": 1');
  assert.deepEqual(await problemsOf(broken), ["struct: Property `nonsense` is not expected here."]);
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
        const { schema } = response.content?.["application/json"] ?? {};
        const isNamed = response.$ref ?? schema?.$ref ?? schema?.anyOf?.every((each: Json) => each.$ref);
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
    signed: [],
    public: [[], ["secretKey"]],
  };
  for (const [name, operations] of endpoints) {
    assert.equal(Object.keys(document.paths[`/${name}`]).length, operations.length, name);
    for (const operation of operations) {
      const described = document.paths[`/${name}`][operation.method.toLowerCase()];
      assert.deepEqual(
        described.security.map((scheme: Json) => Object.keys(scheme)),
        schemes[operation.auth],
        name,
      );

      const codes = errorsOf(operation);
      for (const code of codes) {
        const response =
          whole.paths[`/${name}`][operation.method.toLowerCase()].responses[errorCodes[code].status];
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
});

Deno.test("a keyed operation asks for the key, and no other does", () => {
  for (const [name, operations] of endpoints) {
    for (const { method, idempotencyKey } of operations) {
      const { parameters } = document.paths[`/${name}`][method.toLowerCase()];
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
