import { projectUrl } from "./tokens.ts";

/** The answer of each procedure: its envelope, or a whole response. */
export type FakeProcedures = Readonly<Record<string, (args: Record<string, unknown>) => unknown>>;

export interface ProcedureCall {
  readonly name: string;
  readonly args: Record<string, unknown>;
}

/** A fetch that plays the Data API, and what was called. Requests to other places go `elsewhere`. */
export function fakeDataApi(
  procedures: FakeProcedures,
  elsewhere: typeof fetch = () => Promise.reject(new Error("This test has no network")),
): { fetch: typeof fetch; calls: ProcedureCall[] } {
  const calls: ProcedureCall[] = [];
  const base = `${projectUrl}/rest/v1/rpc/`;
  return {
    calls,
    fetch: async (input, init) => {
      const request = new Request(input, init);
      if (!request.url.startsWith(base)) return await elsewhere(input, init);
      const name = request.url.slice(base.length);
      const args = await request.json();
      const procedure = Object.hasOwn(procedures, name) ? procedures[name] : undefined;
      if (procedure === undefined) throw new Error(`This test has no procedure ${name}`);
      calls.push({ name, args });
      const answer = await procedure(args);
      return answer instanceof Response ? answer : Response.json(answer);
    },
  };
}
