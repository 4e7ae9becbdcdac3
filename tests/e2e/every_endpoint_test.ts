/**
 * What is the same for every endpoint, tried on each of them as it is served: who is let in, what a malformed request is
 * told, and in which language. The endpoints are found, and what they ask for is read from their declarations; whatever
 * does not hold for one of them is listed here, by its name.
 */
import assert from "node:assert/strict";
import * as z from "zod";
import type { Language } from "../../supabase/functions/_shared/errors/languages.ts";
import type { Declaration } from "../../supabase/functions/_shared/endpoint/operation.ts";
import { maxBodyBytes } from "../../supabase/functions/_shared/request/request-body.ts";
import { allOperations, type Operation } from "../operations.ts";
import { type Answer, assertError, errorOf, readAnswer } from "./support/answer.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import { badCredentials } from "./support/bad-credentials.ts";
import { credentialsFor } from "./support/credentials.ts";
import { exampleRequest } from "./support/example-requests.ts";
import { kling } from "./support/videos.ts";

const backend = shared(startBackend);
let guest: Guest;
let admin: Guest;

Deno.test.beforeAll(async () => {
  [guest, admin] = await Promise.all([backend.signIn(10), backend.signInAdmin()]);
});

const callerFor = (auth: Declaration["auth"]) => auth === "admin" ? admin : guest;

interface Call {
  query?: string | undefined;
  headers?: Record<string, string>;
  body?: BodyInit;
}

/** Calls an operation as somebody whom it lets in. */
async function call(operation: Operation, { query, headers, body }: Call = {}): Promise<Answer> {
  const { place, method, auth } = operation;
  return await backend.call(`${place}${query ?? exampleRequest(operation).query}`, {
    method,
    headers: { ...credentialsFor(backend, callerFor(auth), auth), ...headers },
    ...(body === undefined ? {} : { body }),
  });
}

const json = { "content-type": "application/json" };

const languages: Language[] = ["en", "tr", "es"];

for (const [name, operations] of Map.groupBy(allOperations, ({ place }) => place)) {
  for (const operation of operations) {
    const { operation: endpoint, place, method, auth, admit, request, rawBody, idempotencyKey } = operation;

    Deno.test(`${endpoint} refuses whoever is not its kind of caller by ERR_4005`, async () => {
      // Whoever was let in is remembered, and must open the door to nobody else.
      assertError(await call(operation, { query: "?unknown=1" }), "ERR_4008", "its kind of caller");
      for (const [what, headers] of Object.entries(await badCredentials(backend, callerFor(auth), auth))) {
        const answer = await backend.call(`${place}${exampleRequest(operation).query}`, {
          method,
          headers: { ...headers, ...json },
          ...(method === "GET" ? {} : { body: "{}" }),
        });
        assertError(answer, "ERR_4005", what);
      }
    });

    Deno.test(`${endpoint} says what is wrong in en, tr and es, and the same to programs`, async () => {
      const answers = await Promise.all(
        languages.map((language) =>
          call(operation, {
            query: "?unknown=1",
            headers: { "accept-language": `fr, ${language};q=0.5` },
          })
        ),
      );
      for (const [index, answer] of answers.entries()) {
        assertError(answer, "ERR_4008", endpoint);
        assert.equal(answer.headers.get("content-language"), languages[index]);
        assert.deepEqual(errorOf(answer).details, errorOf(answers[0] ?? answer).details);
      }
      const messages = answers.map((answer) => errorOf(answer).message);
      assert.equal(new Set(messages).size, languages.length);
    });

    Deno.test(`${endpoint} refuses a parameter that it does not know, and one given twice`, async () => {
      for (const query of ["?user_id=1", "?user_id=1&user_id=2"]) {
        const answer = await call(operation, { query });
        assertError(answer, "ERR_4008", query);
        assert.match(JSON.stringify(errorOf(answer).details.fields), /"path":"user_id"/);
      }
    });

    if (request) {
      Deno.test(`${endpoint} refuses a body that is not JSON, and names what is wrong in one that is`, async () => {
        const invalid: Record<string, BodyInit> = {
          ...(operation.bodyIsOptional ? {} : { "nothing": "" }),
          "half of it": '{"prompt": ',
          "two values": "{} {}",
          "not UTF-8": new Uint8Array([0x22, 0xff, 0x22]),
          "a member twice": '{"prompt": "a", "prompt": "b"}',
          "a list": "[]",
          "null": "null",
          "text": '"prompt"',
          "a nest": "[".repeat(100_000) + "]".repeat(100_000),
        };
        for (const [what, body] of Object.entries(invalid)) {
          const answer = await call(operation, { headers: json, body });
          assertError(answer, "ERR_4008", what);
          const wholeBody = z.strictObject({ path: z.literal(""), message: z.string() });
          assert.deepEqual(
            [what, z.tuple([wholeBody]).safeParse(errorOf(answer).details.fields).error],
            [what, undefined],
          );
        }
      });

      Deno.test(`${endpoint} refuses fields that it does not know, the user's id among them`, async () => {
        const body = JSON.stringify({ user_id: guest.id, is_admin: true });
        const answer = await call(operation, { headers: json, body });
        assertError(answer, "ERR_4008", body);
        // Where an admin names somebody else; nobody else names a user.
        const namesAUser = auth === "admin" &&
          Object.hasOwn(Object(exampleRequest(operation).body), "user_id");
        const unknown = namesAUser ? ["is_admin"] : ["user_id", "is_admin"];
        const fields = JSON.stringify(errorOf(answer).details.fields);
        for (const path of unknown) {
          assert(fields.includes(JSON.stringify({ path, message: "Unknown field" })), fields);
        }
      });

      Deno.test(`${endpoint} refuses what does not call itself JSON in UTF-8`, async () => {
        for (
          const type of [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/json; charset=latin1",
            "",
          ]
        ) {
          // Bytes, for which no client makes up a type.
          const body = new TextEncoder().encode("[]");
          const headers: Record<string, string> = type === "" ? {} : { "content-type": type };
          assertError(await call(operation, { headers, body }), "ERR_4018", type);
        }
      });
    }

    if (!request && !rawBody && method !== "GET") {
      Deno.test(`${endpoint} asks for no body, and refuses one with anything in it`, async () => {
        for (
          const [body, path] of [
            [{ user_id: admin.id }, "user_id"],
            [{ user_id: guest.id }, "user_id"],
            [{ job_id: crypto.randomUUID() }, "job_id"],
            [[], ""],
            [null, ""],
          ] as const
        ) {
          for (const headers of [json, { "content-type": "text/plain" }]) {
            const answer = await call(operation, { headers, body: JSON.stringify(body) });
            assertError(answer, "ERR_4008", JSON.stringify(body));
            const { fields } = z.object({ fields: z.array(z.object({ path: z.string() })) })
              .parse(errorOf(answer).details);
            assert.deepEqual(fields.map((field) => field.path), [path]);
          }
        }
        const users = await backend.database.sql`
          select from accounts.users where id in (${guest.id}, ${admin.id}) and closed_at is not null`;
        assert.equal(users.length, 0);
      });
    }

    if (request || rawBody || method !== "GET") {
      Deno.test(`${endpoint} refuses a body beyond its limit, whether its length is told or not`, async () => {
        const limit = rawBody?.maxBytes ?? maxBodyBytes;
        const tooLong = JSON.stringify({ prompt: "a".repeat(limit) });
        for (const body of [tooLong, new Blob([tooLong]).stream()]) {
          const answer = await call(operation, { headers: json, body });
          // Its URL proves nothing, and so its body is not looked at; refused_bodies_test.ts has one that does.
          if (admit !== undefined) {
            assertError(answer, "ERR_4005", typeof body);
            continue;
          }
          assertError(answer, "ERR_4013", typeof body);
          assert.deepEqual(errorOf(answer).details, { limit_bytes: limit });
        }
      });
    }

    if (idempotencyKey) {
      Deno.test(`${endpoint} refuses to run without a well-formed Idempotency-Key`, async () => {
        const body = JSON.stringify(exampleRequest(operation).body);
        assertError(await call(operation, { headers: json, body }), "ERR_4010", "no key");
        for (const key of ['""', "a b", "a".repeat(256), '"a', "a, b"]) {
          const headers = { ...json, "idempotency-key": key };
          assertError(await call(operation, { headers, body }), "ERR_4010", key);
        }
      });
    }
  }

  const declared = operations.map(({ method }) => method);
  const allowed = [...declared, ...(declared.includes("GET") ? ["HEAD"] : []), "OPTIONS"];

  Deno.test(`${name} refuses every other method by ERR_4014, and names its own`, async () => {
    for (
      const method of ["GET", "POST", "PUT", "PATCH", "DELETE"].filter((method) => !allowed.includes(method))
    ) {
      const answer = await guest.call(name, { method });
      assertError(answer, "ERR_4014", method);
      assert.deepEqual(answer.headers.get("allow")?.split(", "), allowed);
    }
  });

  Deno.test(`${name} answers a browser's preflight, whoever asks`, async () => {
    const answer = await backend.call(name, {
      method: "OPTIONS",
      headers: {
        origin: "https://app.example",
        "access-control-request-method": declared[0] ?? "",
        "access-control-request-headers":
          "apikey, authorization, content-type, idempotency-key, x-request-id",
      },
    });
    assert.deepEqual([answer.status, answer.body], [204, null]);
    assert.equal(answer.headers.get("access-control-allow-origin"), "*");
    assert.deepEqual(answer.headers.get("access-control-allow-methods")?.split(", "), allowed);
    const headers = answer.headers.get("access-control-allow-headers")?.split(", ") ?? [];
    for (const header of ["apikey", "authorization", "content-type", "idempotency-key", "x-request-id"]) {
      assert(headers.includes(header), header);
    }
  });

  Deno.test(`${name} has nothing below it`, async () => {
    // A parameter of another operation's path is one part of it at most.
    assertError(await guest.call(`${name}/more/of-it`, { method: declared[0] ?? "GET" }), "ERR_4007", name);
  });
}

Deno.test("the answer to HEAD is that to GET, without its body", async () => {
  const [get, head] = await Promise.all([
    guest.call("models"),
    guest.call("models", { method: "HEAD" }),
  ]);
  assert.deepEqual([head.status, head.body], [200, null]);
  assert.equal(head.headers.get("etag"), get.headers.get("etag"));
  const refused = await fetch(`${backend.stack.url}/functions/v1/models`, { method: "HEAD" });
  assert.deepEqual([refused.status, (await readAnswer(refused)).body], [401, null]);
});

Deno.test("the language is the best of those asked for, else the user's own where it was read, else English", async () => {
  const { sql } = backend.database;
  const speaker = await backend.signIn(1);
  const ask = async (language?: string) => {
    const answer = await speaker.call("generate-video", {
      body: { model_id: kling, prompt: "Too dear" },
      key: crypto.randomUUID(),
      headers: language === undefined ? {} : { "accept-language": language },
    });
    assertError(answer, "ERR_4001", language ?? "none");
    return answer.headers.get("content-language");
  };
  assert.equal(await ask(), "en");
  assert.equal(await ask("es"), "es");
  assert.equal(await ask("tr-TR, en;q=0.9"), "tr");
  assert.equal(await ask("en;q=0.1, es;q=0.2"), "es");
  assert.equal(await ask("tr;q=0, fr"), "en");
  await sql`update accounts.users set language = 'tr' where id = ${speaker.id}`;
  assert.equal(await ask(), "tr");
  assert.equal(await ask("fr"), "tr");
  assert.equal(await ask("es"), "es");
});
