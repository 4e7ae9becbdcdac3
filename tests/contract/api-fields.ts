/** A schema's fields in words. */
import type { Json } from "./api-document.ts";

/** A row for each field: its path, its type, and whether it may be left out. */
export function fieldsOf(schema: Json, path = "", isRequired = true): string[][] {
  const { properties, required = [] } = schema;
  const row = [`\`${path}\``, typeOf(schema), isRequired ? "required" : defaultOf(schema)];
  if (properties === undefined) return [row];
  const members = Object.entries<Json>(properties).flatMap(([name, member]) =>
    fieldsOf(member, path === "" ? name : `${path}.${name}`, required.includes(name))
  );
  return path === "" ? members : [row, ...members];
}

function defaultOf({ default: value }: Json): string {
  return value === undefined || typeof value === "object" ? "" : `\`${JSON.stringify(value)}\` without it`;
}

function typeOf(schema: Json): string {
  const { type, format, enum: values, const: only, anyOf } = schema;
  if (anyOf) return anyOf.map(typeOf).join(" or ");
  if (Array.isArray(type)) {
    const thing = { ...schema, type: type[0], enum: values?.filter((value: Json) => value !== null) };
    return `${typeOf(thing)} or null`;
  }
  if (only !== undefined) return `\`${JSON.stringify(only)}\``;
  if (values) return values.map((value: Json) => `\`${value}\``).join(", ");
  const words = format === "uuid" ? "UUID" : format === undefined ? type ?? "any JSON" : `${type}, ${format}`;
  return [words, rangeOf(schema)].filter((part) => part !== "").join(" ");
}

function rangeOf(schema: Json): string {
  const { type, minLength, maxLength, minimum, maximum, exclusiveMinimum } = schema;
  if (type === "string") {
    return maxLength === undefined ? "" : `of ${minLength ?? 0} to ${maxLength} characters`;
  }
  const least = minimum ?? (exclusiveMinimum === undefined ? undefined : exclusiveMinimum + 1);
  // What zod says of every integer is no bound of ours.
  const bounds = [least, maximum].filter((bound) => Math.abs(bound) < Number.MAX_SAFE_INTEGER);
  return bounds.length === 2 ? `from ${bounds[0]} to ${bounds[1]}` : "";
}
