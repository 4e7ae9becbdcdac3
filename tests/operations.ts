/** Every operation of every endpoint, for tests that hold for all of them. */
import type { Declaration } from "../supabase/functions/_shared/endpoint/operation.ts";
import { declaredOperations } from "./contract/generate-openapi.ts";

export interface Operation extends Declaration {
  /** Of the endpoint. */
  readonly name: string;
  /** Such as "GET models". */
  readonly operation: string;
  /** Of `api`, as its name follows from the endpoint's. */
  readonly procedure: string;
  /** A list that is read page by page. */
  readonly isPaged: boolean;
}

export const allOperations: readonly Operation[] = [...await declaredOperations()].flatMap((
  [name, operations],
) =>
  operations.map((declaration) => ({
    ...declaration,
    name,
    operation: `${declaration.method} ${name}`,
    procedure: procedureOf(name, declaration, operations.length),
    isPaged: declaration.query !== undefined && "cursor" in declaration.query.shape,
  }))
);

function procedureOf(name: string, { method }: Declaration, operations: number): string {
  const procedure = name.replaceAll("-", "_");
  return operations === 1 ? procedure : `${method.toLowerCase()}_${procedure}`;
}

/** Every operation but those that are listed with a reason. Throws where the list names one that is not there. */
export function operationsBut(listed: Readonly<Record<string, string>>): Operation[] {
  const known = new Set(allOperations.map(({ operation }) => operation));
  const gone = Object.keys(listed).filter((operation) => !known.has(operation));
  if (gone.length > 0) throw new Error(`No endpoint has ${gone.join(", ")}: take it out of the list`);
  return allOperations.filter(({ operation }) => !(operation in listed));
}
