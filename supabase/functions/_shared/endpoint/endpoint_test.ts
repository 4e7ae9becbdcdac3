import assert from "node:assert/strict";
import * as z from "zod/mini";
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
