/** The files of a new endpoint, as `deno task new endpoint` makes them. What is marked is found by tests/contract/to_be_written_test.ts. */
import type { Auth } from "../../supabase/functions/_shared/endpoint/context.ts";
import type { Method } from "../../supabase/functions/_shared/endpoint/operation.ts";

export interface NewEndpoint {
  readonly name: string;
  readonly methods: readonly Method[];
  readonly auth: Extract<Auth, "user" | "admin" | "service" | "public">;
}

const pascal = (text: string) =>
  text.split("-").map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join("");

/** The names of an operation's parts. */
function partsOf({ name, methods }: NewEndpoint, method: Method) {
  const isBody = method === "POST" || method === "PATCH";
  const procedure = name.replaceAll("-", "_");
  const schema = `${methods.length === 1 ? "" : pascal(method.toLowerCase())}${pascal(name)}`;
  return {
    operation: `${method} ${name}`,
    field: isBody ? "request" : "query",
    input: `${schema}${isBody ? "Request" : "Query"}`,
    response: `${schema}Response`,
    service: `${method.toLowerCase()}${pascal(name)}`,
    procedure: methods.length === 1 ? procedure : `${method.toLowerCase()}_${procedure}`,
    policy: method === "GET" ? "reads" : "writes",
  };
}

/** Every file with its path from the repository's root. */
export function endpointFiles(endpoint: NewEndpoint): Readonly<Record<string, string>> {
  const { name, methods, auth } = endpoint;
  const parts = methods.map((method) => ({ method, ...partsOf(endpoint, method) }));
  const folder = `supabase/functions/${name}`;
  const policies = (policy: string) =>
    auth === "user" ? `policies: ["${policy}"], ` : auth === "admin" ? 'policies: ["admin"], ' : "";
  const actor = { user: "actor", admin: "admin", service: null, public: null }[auth];
  return {
    [`${folder}/index.ts`]: `import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { ${parts.flatMap(({ input, response }) => [input, response]).join(", ")} } from "./schema.ts";
import { ${parts.map(({ service }) => service).join(", ")} } from "./service.ts";

export default endpoint(${
      parts.map(({ method, field, input, response, policy, service }) =>
        `{
  method: "${method}", summary: "To be written: what it does, in one line", auth: "${auth}", ${
          policies(policy)
        }
  ${field}: ${input}, response: { 200: ${response} }, errors: [], ports: { database }, service: ${service},
}`
      ).join(", ")
    });
`,
    [`${folder}/schema.ts`]: `import * as z from "zod/mini";
${
      parts.map(({ input, response }) => `
/** To be written: what the request has. */
export const ${input} = z.strictObject({});
export type ${input} = z.infer<typeof ${input}>;

/** To be written: what the answer has. */
export const ${response} = z.object({});
export type ${response} = z.infer<typeof ${response}>;
`).join("")
    }`,
    [`${folder}/service.ts`]: `import { ${
      actor === null ? "" : `${actor}, `
    }type Database, fields } from "../_shared/database/call.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { ${
      parts.flatMap(({ input, response }) => [`type ${input}`, response]).join(", ")
    } } from "./schema.ts";
${
      parts.map(({ field, input, response, service, procedure }) => `
/** To be written: what it promises. */
export async function ${service}(
  ${field}: ${input},
  context: Context<"${auth}"> & { database: Database },
): Promise<Answer<${response}>> {
  const args = { ...fields(${field})${actor === null ? "" : `, ...${actor}(context)`} };
  return { status: 200, body: await context.database.call("${procedure}", args, ${response}) };
}
`).join("")
    }`,
    [`${folder}/service_test.ts`]: `import assert from "node:assert/strict";
${
      parts.map(({ operation }) => `
Deno.test("${operation} does what it promises", () => {
  assert.fail("To be written: a test for each thing that the service of ${operation} promises");
});
`).join("")
    }`,
    [`${folder}/documentation.ts`]:
      `import type { Documentation } from "../_shared/endpoint/documentation.ts";

export default {
${
        parts.map(({ method, field }) =>
          `  ${method}: {
    description: "To be written: what it does, and what whoever calls it must know.",
    ${field}: {},
    responses: { 200: {} },
  },`
        ).join("\n")
      }
} satisfies Documentation;
`,
    [`supabase/schemas/api/${name}.sql`]: parts.map((part) => procedureOf(endpoint, part)).join(
      "\n",
    ),
    [`supabase/tests/api/${name}.sql`]: `-- ${name}: what its procedures decide.
begin;
select plan(${parts.length});

${
      parts.map(({ procedure }) =>
        `select fail('To be written: a test for each thing that api.${procedure} promises');\n`
      ).join("")
    }
select * from finish();
rollback;
`,
  };
}

function procedureOf(
  { name, auth }: NewEndpoint,
  { operation, procedure, policy }: ReturnType<typeof partsOf>,
): string {
  const argument = { user: "p_user_id", admin: "p_admin_id", service: null, public: null }[auth];
  const given = {
    user: "p_user_id uuid, p_session_id uuid default null",
    admin: "p_admin_id uuid, p_request_id text, p_session_id uuid default null",
    service: "",
    public: "",
  }[auth];
  const enter = auth === "admin"
    ? `ops.enter_admin(${argument}, '${name}', p_session_id)`
    : `guard.enter(${argument}, '${name}', '{${policy}}', null, p_session_id => p_session_id)`;
  const counts = auth === "admin" ? "admin" : policy;
  return `create function api.${procedure}(${given})
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
-- To be written: what it promises, and what a second call does.${
    argument === null ? "" : ` Counts against \`${counts}\`. Locks: rate-limit row.`
  }
${
    argument === null ? "" : `declare
  v_caller record;
`
  }begin
${
    argument === null ? "" : `  select * into v_caller from ${enter};
  if v_caller.refusal is not null then
    return v_caller.refusal;
  end if;

`
  }  raise exception 'To be written: what ${operation} decides';
end;
$$;
grant execute on function api.${procedure} to service_role;
`;
}

/** The row of docs/security.md that lets the functions call its procedures. */
export function rightsRow(endpoint: NewEndpoint): string {
  const procedures = endpoint.methods.map((method) => `\`api.${partsOf(endpoint, method).procedure}\``);
  return `| ${procedures.join(", ")} | execute | | | yes |\n`;
}
