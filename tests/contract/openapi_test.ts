import assert from "node:assert/strict";
import { Validator } from "@seriousme/openapi-schema-validator";
import * as z from "zod/mini";
import { errorCodes, isErrorCode } from "../../supabase/functions/_shared/error-codes.ts";
import { type Declaration, errorsOf } from "../../supabase/functions/_shared/operation.ts";
import {
  clientTypesFile,
  declaredOperations,
  generateClientTypes,
  generateOpenApi,
  openApiFile,
} from "./generate-openapi.ts";
import { openApiDocument } from "./openapi.ts";

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

function resolve(reference: string): Json {
  return reference.replace("#/", "").split("/").reduce((value, name) => value?.[name], document);
}

Deno.test("openapi.json is what the endpoints declare; `deno task generate` writes it anew", async () => {
  assert.equal(await Deno.readTextFile(openApiFile), await generateOpenApi());
});

Deno.test("openapi.d.ts is what openapi.json says; `deno task generate` writes it anew", async () => {
  const openApi = await Deno.readTextFile(openApiFile);
  assert.equal(await Deno.readTextFile(clientTypesFile), await generateClientTypes(openApi));
});

Deno.test("openapi.json is valid OpenAPI 3.1", async () => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(structuredClone(document));
  assert.deepEqual([valid, errors, validator.version], [true, undefined, "3.1"]);
});

Deno.test("every reference in openapi.json leads somewhere", () => {
  const references = valuesOf("$ref", document);
  assert(references.length > 0);
  for (const reference of references) assert.notEqual(resolve(reference), undefined, reference);
});

Deno.test("a schema that refers to itself becomes one component, however often it is used", () => {
  const operation: Declaration = {
    method: "GET",
    summary: "Reads",
    auth: "public",
    response: { 200: z.object({ a: z.json() }), 202: z.object({ b: z.json() }) },
    errors: [],
    service: () => Promise.reject(new Error("not called")),
  };
  const made: Json = openApiDocument(new Map([["example", [operation]]]));
  assert.deepEqual(valuesOf("$defs", made), []);
  assert.deepEqual(Object.keys(made.components.schemas), ["ErrorCode", "Error", "Definition1"]);
  const { responses } = made.paths["/example"].get;
  for (const [status, name] of [["200", "a"], ["202", "b"]] as const) {
    const { properties } = responses[status].content["application/json"].schema;
    assert.deepEqual(properties[name], { $ref: "#/components/schemas/Definition1" });
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
        const response = described.responses[errorCodes[code].status];
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
  for (const path of Object.values<Json>(document.paths)) {
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
  const { responses }: Json = valuesOf("get", openApiDocument(new Map([["example", [operation]]])))[0];
  for (const code of operation.errors) {
    const response = responses[errorCodes[code].status];
    const { error } = response.content["application/json"].examples[code].value;
    assert.deepEqual(Object.keys(error.details), errorCodes[code].details);
    assert.doesNotMatch(error.message, /[{}]/);
    assert(!("retry_after" in error.details) || "Retry-After" in response.headers);
  }
});
