import assert from "node:assert/strict";
import { generateKeyPair, UnsecuredJWT } from "jose";
import apple from "../../testing/app-store/apple-fixtures.json" with { type: "json" };
import { signing } from "../../testing/app-store/authority.ts";
import { mutated } from "../../testing/app-store/mutations.ts";
import { signedAt, testAppStore, transactionPayload, trusting } from "../../testing/app-store/signed-data.ts";
import { readSignedData } from "./signed-data.ts";

const store = await testAppStore();
const payload = transactionPayload();
const valid = await store.sign(payload);
const read = (jws: string, configuration = store.configuration) =>
  readSignedData(jws, configuration, signedAt);

Deno.test("Apple's published data verifies with its test root, and with no other", async () => {
  const { signed, testRoot } = apple;
  for (const name of ["transactionInfo", "renewalInfo", "testNotification", "wrongBundleId"] as const) {
    const answer = await read(signed[name], trusting(testRoot));
    assert("payload" in answer, name);
    for (const other of [null, store.rootCertificate]) {
      assert.deepEqual(
        await read(signed[name], { ...store.configuration, rootCertificate: other }),
        { refusal: "invalid_signature" },
        name,
      );
    }
  }
  assert.deepEqual(await read(signed.missingX5CHeaderClaim, trusting(testRoot)), {
    refusal: "invalid_signature",
  });
});

Deno.test("what Xcode signed counts in a local project alone", async () => {
  for (const [name, jws] of Object.entries(apple.xcode)) {
    assert.deepEqual(await read(jws), { refusal: "wrong_environment" }, name);
    assert.deepEqual(await read(jws, trusting(apple.testRoot)), { refusal: "wrong_environment" }, name);
    assert("payload" in await read(jws, { ...store.configuration, acceptsUnsigned: true }), name);
  }
  for (const environment of ["Xcode", "LocalTesting"]) {
    for (
      const claims of [{ ...payload, environment }, { receiptType: environment }, { data: { environment } }, {
        appData: { environment },
      }]
    ) {
      // Also where it is signed as Apple signs.
      assert.deepEqual(await read(await store.sign(claims)), { refusal: "wrong_environment" });
    }
  }
});

Deno.test("what the store signed is believed as it was signed", async () => {
  assert.deepEqual(await read(valid), { payload });
  const unknown = { type: "SOMETHING_NEW", nested: { ünïcode: "✓" } };
  assert.deepEqual(await read(await store.sign(unknown)), { payload: unknown });
});

Deno.test("certificates must have been valid when it was signed, or now where it does not say when", async () => {
  const before = Date.parse("2019-12-31");
  const after = Date.parse("2045-01-02");
  for (const name of ["signedDate", "receiptCreationDate"]) {
    for (const time of [before, after]) {
      const jws = await store.sign({ [name]: time });
      assert.deepEqual(await read(jws), { refusal: "invalid_signature" }, `${name} ${time}`);
    }
  }
  const undated = await store.sign({ transactionId: "1" });
  assert("payload" in await read(undated));
  for (const time of [before, after]) {
    const answer = await readSignedData(undated, store.configuration, new Date(time));
    assert.deepEqual(answer, { refusal: "invalid_signature" });
  }
});

Deno.test("nothing unsigned counts, however it is put together", async () => {
  const [header = "", body = "", signature = ""] = valid.split(".");
  const encode = (value: unknown) =>
    btoa(JSON.stringify(value)).replace(/=+$/, "").replaceAll("+", "-").replaceAll("/", "_");
  const other = await testAppStore();
  const { privateKey } = await generateKeyPair("ES256");
  const cases: Record<string, string> = {
    "alg none": new UnsecuredJWT(payload).encode(),
    "alg none with the chain": `${encode({ alg: "none", x5c: store.x5c })}.${body}.`,
    "alg none with the signature": `${encode({ alg: "none", x5c: store.x5c })}.${body}.${signature}`,
    "HS256 with the chain": `${encode({ alg: "HS256", x5c: store.x5c })}.${body}.${signature}`,
    "another payload": `${header}.${encode({ ...payload, quantity: 100 })}.${signature}`,
    "another header": `${encode({ alg: "ES256", x5c: store.x5c, typ: "JWT" })}.${body}.${signature}`,
    "no signature": `${header}.${body}.`,
    "another leaf's signature": await signing(store.x5c, privateKey).sign(payload),
    "another root": await other.sign(payload),
    "another root's leaf with our root at its end": await other.sign(payload, {
      x5c: [...other.x5c.slice(0, 2), store.rootCertificate],
    }),
    "a chain that is no list": await store.sign(payload, { x5c: store.x5c.join("") }),
    "a key in the header": await signing([], privateKey).sign(payload, { jwk: { kty: "EC" } }),
    "an unknown critical header": await store.sign(payload, { crit: ["exp"], exp: 1 }).catch(() =>
      "not made"
    ),
    "five parts": `${valid}.${body}.${signature}`,
    "two parts": `${header}.${body}`,
    "an array": await store.sign([payload]),
    "a text": await store.sign("text"),
    "empty": "",
    "no base64": "ö.ö.ö",
    "no JSON": "e30.e30x.e30",
  };
  for (const [name, jws] of Object.entries(cases)) {
    assert.deepEqual(await read(jws), { refusal: "invalid_signature" }, name);
  }
});

Deno.test("one change anywhere, of a byte or a certificate, is refused", async () => {
  // A sample; tests/e2e/app_store_mutations_test.ts has 3,000.
  for (let seed = 0; seed < 300; seed++) {
    const jws = mutated(valid, seed);
    if (jws === valid) continue;
    assert("refusal" in await read(jws), `mutation ${seed}`);
  }
});
