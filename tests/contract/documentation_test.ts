import assert from "node:assert/strict";
import * as z from "zod/mini";
import { operationKey } from "../../supabase/functions/_shared/endpoint/operation.ts";
import { declaredOperations, documentations, labelOf } from "./generate-openapi.ts";

const endpoints = await declaredOperations();
const documented = await documentations();

Deno.test("documentation.ts describes every operation of its endpoint, and no other", () => {
  for (const [name, operations] of endpoints) {
    const methods = Object.keys(documented.get(name) ?? {});
    assert.deepEqual(methods, operations.map(operationKey), name);
    for (const { description } of Object.values(documented.get(name) ?? {})) {
      assert.match(description, /^[A-Z`][^]+\.$/, name);
    }
  }
});

/** The example must be all that the schema takes, and nothing beside it. */
function assertFits(schema: z.ZodMiniType | null | undefined, example: unknown, what: string): void {
  if (schema === null || schema === undefined) return assert.equal(example, undefined, what);
  assert.notEqual(example, undefined, `${what} has no example`);
  const { error } = z.safeParse(schema, example);
  assert.equal(error, undefined, `${what}: ${error && z.prettifyError(error)}`);
  assertDescribed(z.toJSONSchema(schema, { io: "input" }), example, what);
}

type JsonSchema = z.core.JSONSchema._JSONSchema;

/** Every member of the example must be one that the schema names; whatever else schemas of answers let through. */
function assertDescribed(schema: JsonSchema, example: unknown, what: string): void {
  if (typeof schema === "boolean" || typeof example !== "object" || example === null) return;
  const [choice = schema, ...others] = schema.anyOf?.filter(({ type }) => type !== "null") ?? [];
  if (others.length > 0) {
    // It is one of several things: that which has all of its required members.
    const required = [choice, ...others].find(({ required = [] }) =>
      required.every((name) => name in example)
    );
    assert(required !== undefined, `${what} is none of what it may be`);
    return assertDescribed(required, example, what);
  }
  const { properties, items, additionalProperties } = choice;
  if (Array.isArray(example)) {
    const item = Array.isArray(items) ? items[0] : items;
    for (const [index, each] of example.entries()) assertDescribed(item ?? true, each, `${what}[${index}]`);
    return;
  }
  // An object of any members, such as an error's details.
  if (properties === undefined || typeof additionalProperties === "object") return;
  for (const [name, member] of Object.entries(example)) {
    const described: JsonSchema | undefined = properties[name];
    assert(described !== undefined, `${what}.${name} is unknown`);
    assertDescribed(described, member, `${what}.${name}`);
  }
}

for (const [name, operations] of endpoints) {
  for (const operation of operations) {
    const { query, request, rawBody, response } = operation;
    Deno.test(`the examples of ${labelOf(name, operation)} are what its schemas describe`, () => {
      const documentation = documented.get(name)?.[operationKey(operation)];
      assert(documentation);
      const { query: parameters, request: body, responses = {}, headers = {} } = documentation;
      assertFits(query, parameters, "query");
      if (!rawBody) assertFits(request, body, "request");
      const bodies = Object.keys(response).filter((status) => response[Number(status)] !== null);
      assert.deepEqual(Object.keys(responses), bodies);
      for (const [status, example] of Object.entries(responses)) {
        assertFits(response[Number(status)], example, status);
      }
      for (const status of Object.keys(headers)) assert(status in response, status);
    });
  }
}
