import assert from "node:assert/strict";
import * as z from "zod/mini";
import type { AppError } from "../errors/app-error.ts";
import type { Parameters } from "./operation.ts";
import type { Answer, Context, Keyed, Port } from "./context.ts";
import { endpoint } from "./endpoint.ts";
import { testContext } from "../testing/context.ts";
import { testServer } from "../testing/server.ts";

/** A declaration and a service as the endpoints have them. */
interface Database {
  create(prompt: string): Promise<{ id: string }>;
  remove(id: string): Promise<void>;
}
const databasePort: Port<Database> = ({ beforeCall }) => ({
  create: (prompt) => {
    beforeCall();
    return Promise.resolve({ id: `id of ${prompt}` });
  },
  remove: () => Promise.resolve(),
});

const Request = z.strictObject({ prompt: z.string() });
const Created = z.strictObject({ id: z.string() });

async function create(
  { prompt }: z.infer<typeof Request>,
  { database, idempotency }: Context<"user"> & Keyed & { database: Pick<Database, "create"> },
): Promise<Answer<z.infer<typeof Created>>> {
  return { status: 202, body: await database.create(`${prompt} ${idempotency.key}`) };
}

function nothing(_input: undefined, _context: Context<"public">): Promise<Answer> {
  return Promise.resolve({ status: 204 });
}

const declared = {
  method: "POST",
  summary: "Creates a thing",
  auth: "user",
  idempotencyKey: "required",
  request: Request,
  response: { 202: Created },
  errors: [],
  ports: { database: databasePort },
  service: create,
} as const;

Deno.test("an endpoint serves its operations, and gives the service the ports that it declares", async () => {
  const { operations } = endpoint(
    declared,
    {
      method: "GET",
      summary: "Nothing",
      auth: "public",
      response: { 204: null },
      errors: [],
      service: nothing,
    },
  );
  const server = await testServer(operations);
  const headers = { "Idempotency-Key": "k" };
  const created = await server.send({ method: "POST", headers, json: { prompt: "x" } });
  assert.deepEqual([created.status, await created.json()], [202, { id: "id of x k" }]);
  assert.equal(server.lines[0]?.data_api_calls, 1);
  assert.equal((await server.send()).status, 204);
});

Deno.test("a service that needs what is not declared does not compile", () => {
  const { ports: _, ...withoutPorts } = declared;
  // @ts-expect-error: the service asks for a database
  endpoint(withoutPorts);
  const { idempotencyKey: __, ...withoutKey } = declared;
  // @ts-expect-error: the service asks for a key
  endpoint(withoutKey);
  // @ts-expect-error: the service asks for a user
  endpoint({ ...declared, auth: "public" });
  // @ts-expect-error: the service answers with a body that is not declared
  endpoint({ ...declared, response: { 202: z.strictObject({ id: z.number() }) } });
  // @ts-expect-error: the service takes another request
  endpoint({ ...declared, request: z.strictObject({ prompt: z.number() }) });
  // @ts-expect-error: no such error
  endpoint({ ...declared, errors: ["ERR_9999"] });
});

Deno.test("without an environment every request is ERR_6003, with the contract's headers", async () => {
  const original = console.error;
  const written: string[] = [];
  try {
    console.error = (line: string) => written.push(line);
    const { fetch } = endpoint(declared);
    const response = await fetch(new globalThis.Request("https://project.example.com/example"));
    assert.deepEqual([response.status, (await response.json()).error.code], [500, "ERR_6003"]);
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
    assert.equal(response.headers.get("cache-control"), "no-store");
  } finally {
    console.error = original;
  }
  assert.equal(written.length, 1);
  assert.equal(JSON.parse(written[0] ?? "").event, "misconfigured");
});

Deno.test("a service is tested with fakes of the ports that it names", async () => {
  const context = testContext("user", {
    database: { create: (prompt: string) => Promise.resolve({ id: prompt }) },
  });
  assert.deepEqual(await create({ prompt: "x" }, context), { status: 202, body: { id: "x test-key" } });
  context.waitUntil(() => Promise.resolve(context.log.info("later", { prompt: "x" })));
  await context.settled();
  assert.deepEqual(context.lines.map(({ event, prompt }) => [event, prompt]), [["later", "[redacted]"]]);
  const spanish = testContext("user", { language: "es" as const });
  assert.equal(spanish.answerLanguage(), "es");
});

const errorMembers = ({ code }: AppError, { id }: Parameters) => ({ id: id ?? null, was: code });

/** A service of an operation with a path. */
function echo(
  input: z.infer<typeof Request> & { readonly id: string },
  _context: Context<"user">,
): Promise<Answer<z.infer<typeof Created>>> {
  return Promise.resolve({ status: 200, body: { id: `${input.prompt} ${input.id}` } });
}

Deno.test("operations of one method differ in their paths, whose parameters the service gets beside the body's fields", async () => {
  const { operations } = endpoint({
    method: "POST",
    path: "things/{id}",
    summary: "Says what it was told",
    auth: "user",
    request: Request,
    response: { 200: Created },
    errors: [],
    errorMembers,
    service: echo,
  }, {
    method: "POST",
    path: "things",
    summary: "Says that there are no things",
    auth: "user",
    request: Request,
    response: { 200: Created },
    errors: [],
    service: ({ prompt }: z.infer<typeof Request>) => Promise.resolve({ status: 200, body: { id: prompt } }),
  });
  const server = await testServer(operations);
  const send = async (path: string, json: unknown = { prompt: "x" }, method = "POST") => {
    const response = await server.send({ method, path, json });
    return { status: response.status, allow: response.headers.get("allow"), body: await response.json() };
  };
  assert.deepEqual((await send("example/things")).body, { id: "x" });
  assert.deepEqual((await send("example/things/7")).body, { id: "x 7" });
  assert.deepEqual((await send("example/things/a%20b%2Fc")).body, { id: "x a b/c" });
  assert.deepEqual((await send("example/things/%zz")).body, { id: "x %zz" });
  // What the body says of a parameter is an unknown field, and cannot stand in for it.
  const refused = await send("example/things/7", { prompt: "x", id: "8" });
  assert.deepEqual([refused.status, refused.body.id, refused.body.was], [400, "7", "ERR_4008"]);
  assert.equal(refused.body.error.code, "ERR_4008");
  for (const path of ["example", "example/others", "example/things/7/8", "example/thing/7"]) {
    const { status, body } = await send(path);
    assert.deepEqual([status, Object.keys(body)], [404, ["error"]], path);
  }
  const put = await send("example/things/7", { prompt: "x" }, "PUT");
  assert.deepEqual([put.status, put.allow], [405, "POST, OPTIONS"]);
});

Deno.test("a service that needs a parameter which the path does not have does not compile", () => {
  const { ports: _, idempotencyKey: __, ...rest } = declared;
  const operation = { ...rest, path: "things/{id}", response: { 200: Created }, service: echo } as const;
  endpoint(operation);
  // @ts-expect-error: the service asks for an id
  endpoint({ ...operation, path: "things/{name}" });
  const { path: ___, ...withoutPath } = operation;
  // @ts-expect-error: the service asks for an id
  endpoint(withoutPath);
});
