/** Every operation of every endpoint, for tests that hold for all of them. */
import {
  type Declaration,
  type OperationKey,
  operationKey,
} from "../supabase/functions/_shared/endpoint/operation.ts";
import { declaredOperations, documentations, labelOf } from "./contract/generate-openapi.ts";

export interface Operation extends Declaration {
  /** Of the endpoint. */
  readonly name: string;
  /** Such as "GET models". */
  readonly operation: string;
  /** Where it is called: the endpoint's name, and its path with what the example has in the place of the braces. */
  readonly place: string;
  /** Of `api`, as its name follows from the endpoint's. */
  readonly procedure: string;
  /** A list that is read page by page. */
  readonly isPaged: boolean;
}

const documented = await documentations();

export const allOperations: readonly Operation[] = [...await declaredOperations()].flatMap((
  [name, operations],
) =>
  operations.map((declaration) => ({
    ...declaration,
    name,
    operation: labelOf(name, declaration),
    place: placeOf(name, declaration),
    procedure: procedureOf(name, declaration, operations),
    isPaged: declaration.query !== undefined && "cursor" in declaration.query.shape,
  }))
);

/** Operations of one method, which differ in their path, are one procedure. */
function procedureOf(name: string, { method }: Declaration, operations: readonly Declaration[]): string {
  const procedure = name.replaceAll("-", "_");
  const methods = new Set(operations.map((operation) => operation.method));
  return methods.size === 1 ? procedure : `${method.toLowerCase()}_${procedure}`;
}

function placeOf(name: string, declaration: Declaration): string {
  const { path } = declaration;
  if (path === undefined) return name;
  const key: OperationKey = operationKey(declaration);
  const example = documented.get(name)?.[key]?.path ?? {};
  return `${name}/${
    path.replaceAll(/\{(\w+)\}/g, (_, parameter) => encodeURIComponent(example[parameter] ?? ""))
  }`;
}

/** Every operation but those that are listed with a reason. Throws where the list names one that is not there. */
export function operationsBut(listed: Readonly<Record<string, string>>): Operation[] {
  const known = new Set(allOperations.map(({ operation }) => operation));
  const gone = Object.keys(listed).filter((operation) => !known.has(operation));
  if (gone.length > 0) throw new Error(`No endpoint has ${gone.join(", ")}: take it out of the list`);
  return allOperations.filter(({ operation }) => !(operation in listed));
}
