/** Zod's schemas as JSON Schema: those with a name as components, and references to them wherever they are used. */
import * as z from "zod/mini";
import { reference, type Schema } from "./openapi-components.ts";

// Documents are read as JSON, as their readers do.
// deno-lint-ignore no-explicit-any
type Json = any;

/** The names under which schemas are components; others stand where they are used. */
export type SchemaNames = ReadonlyMap<z.ZodMiniType, string>;

/** Whether it is what a caller sends, or what is answered. */
type Direction = "input" | "output";

export class Schemas {
  readonly #registry = z.registry<{ id: string }>();
  readonly #components = new Map<string, Schema>();

  constructor(private readonly names: SchemaNames) {
    for (const [schema, id] of names) this.#registry.add(schema, { id });
  }

  /** The schema, or a reference to it where it has a name. */
  of(schema: z.ZodMiniType, direction: Direction): Schema {
    const name = this.names.get(schema);
    if (name === undefined) return this.#convert(schema, direction);
    if (!this.#components.has(name)) {
      // Zod makes a definition of whatever has a name, or of what lies within it alone.
      const converted = this.#convert(schema, direction);
      if (!this.#components.has(name)) this.#components.set(name, converted);
    }
    return reference("schemas", name);
  }

  /** Those that `paths` or other components refer to, by their names. */
  components(paths: Schema): Record<string, Schema> {
    const all = [...this.#components].sort(([one], [other]) => one.localeCompare(other));
    const text = JSON.stringify([paths, all]);
    return Object.fromEntries(all.filter(([name]) => text.includes(`"#/components/schemas/${name}"`)));
  }

  #convert(schema: z.ZodMiniType, io: Direction): Schema {
    const { $schema: _, $defs = {}, id: __, ...rest } = z.toJSONSchema(schema, {
      io,
      metadata: this.#registry,
      // Requests are closed; answers grow, and a generated client must not refuse what it does not know yet.
      override: ({ jsonSchema }) => {
        if (io === "output" && jsonSchema.additionalProperties === false) {
          delete jsonSchema.additionalProperties;
        }
      },
    });
    const named = new Map(Object.entries($defs));
    for (const [name, { id: ___, ...definition }] of named) {
      this.#components.set(name, atRoot(withNullTypes(definition, named)));
    }
    return atRoot(withNullTypes(rest, named));
  }
}

/**
 * What may be null has it among its types. Zod writes a choice between the thing and null, for which Apple's generator for
 * Swift makes no property at all; a name of the thing's own goes by that, since a name cannot have another type.
 */
function withNullTypes(value: Json, named: ReadonlyMap<string, Json>): Json {
  if (Array.isArray(value)) return value.map((item) => withNullTypes(item, named));
  if (typeof value !== "object" || value === null) return value;
  const { anyOf, ...rest } = Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, withNullTypes(member, named)]),
  );
  if (anyOf === undefined) return rest;
  const [choice, other] = anyOf;
  if (anyOf.length !== 2 || other.type !== "null") return { ...rest, anyOf };
  const { id: _, ...thing } = choice.$ref === undefined
    ? choice
    : withNullTypes(named.get(choice.$ref.replace("#/$defs/", "")), named);
  if (typeof thing.type !== "string") throw new Error(`${JSON.stringify(thing)} cannot be null`);
  return {
    ...thing,
    ...rest,
    type: [thing.type, "null"],
    ...(thing.enum && { enum: [...thing.enum, null] }),
  };
}

/** Zod's references count from the root of a schema's own document. */
function atRoot(schema: object): Schema {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', '"#/components/schemas/'));
}

/** The document with what it refers to in the place of each reference, so that one can read on. Nothing refers to itself. */
export function withoutReferences(document: Json, value: Json = document): Json {
  if (Array.isArray(value)) return value.map((item) => withoutReferences(document, item));
  if (typeof value !== "object" || value === null) return value;
  if (typeof value.$ref === "string") return withoutReferences(document, resolved(document, value.$ref));
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, withoutReferences(document, member)]),
  );
}

/** What a reference leads to; undefined where that is nowhere. */
export function resolved(document: Json, reference: string): Json {
  return reference.replace("#/", "").split("/").reduce((value, name) => value?.[name], document);
}
