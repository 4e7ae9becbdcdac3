import type { Arguments, Database, ProcedureName } from "../database/call.ts";
import type { ProcedureCall } from "./data-api.ts";

/** What each procedure of a test answers, or throws. */
export type FakeProcedures = { readonly [Name in ProcedureName]?: (args: Arguments<Name>) => unknown };

/**
 * The port of the database with these procedures and no others, and what was called, with the arguments as JSON has them.
 * As with the real one, an answer that does not fit the caller's schema throws.
 */
export function fakeDatabase(
  procedures: FakeProcedures = {},
): { database: Database; calls: ProcedureCall[] } {
  const calls: ProcedureCall[] = [];
  return {
    calls,
    database: {
      async call(name, args, data) {
        const procedure = procedures[name];
        if (procedure === undefined) throw new Error(`This test has no procedure ${name}`);
        const sent = JSON.parse(JSON.stringify(args));
        calls.push({ name, args: sent });
        return data.parse(await procedure(sent));
      },
    },
  };
}
