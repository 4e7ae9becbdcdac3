import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import {
  appleIntermediateOid,
  appStoreLeaf,
  appStoreLeafOid,
  issue,
} from "../../testing/app-store/authority.ts";
import apple from "../../testing/app-store/apple-fixtures.json" with { type: "json" };
import { appleRootCertificate } from "./apple-root.ts";
import { trustedKey } from "./certificate-chain.ts";

const now = Date.parse("2026-11-20T12:00:00Z");
const { chains } = apple;

const root = await issue("Root", null);
const otherRoot = await issue("Root", null);
const intermediate = await issue("Intermediate", root, { oids: [appleIntermediateOid] });
const leaf = await issue("Leaf", intermediate, appStoreLeaf);

const chainOf = (...issuers: { certificate: string }[]) => issuers.map(({ certificate }) => certificate);

/** The certificate with an ASN.1 NULL behind it. */
const withMore = ({ certificate }: { certificate: string }) =>
  Buffer.concat([Buffer.from(certificate, "base64"), Buffer.from([5, 0])]).toString("base64");

Deno.test("the pinned root is the one that Apple publishes", () => {
  const bytes = Buffer.from(appleRootCertificate, "base64");
  assert.equal(bytes.length, 583);
  const fingerprint = "63343abfb89a6a03ebb57e9b3f5fa7be7c4f5c756f3017b3a8c488c3653e9179";
  assert.equal(createHash("sha256").update(bytes).digest("hex"), fingerprint);
  assert.equal(chains.realRoot, appleRootCertificate);
});

Deno.test("a real chain of the App Store leads to the pinned root, while it is valid", () => {
  const chain = [chains.realLeaf, chains.realIntermediate, chains.realRoot];
  assert.equal(trustedKey(chain, appleRootCertificate, Date.parse("2025-11-01")).asymmetricKeyType, "ec");
  for (const day of ["2025-09-18", "2027-10-14", "2014-01-01", "2045-01-01"]) {
    assert.throws(() => trustedKey(chain, appleRootCertificate, Date.parse(day)), /not valid/, day);
  }
});

Deno.test("Apple's test chain, P-256 with SHA-384, leads to its test root and to no other", () => {
  const at = Date.parse("2025-10-31");
  const third = chains.testRoot;
  trustedKey([chains.testLeaf, chains.testIntermediate, third], chains.testRoot, at);
  // Whatever the third is: only the pinned root is asked.
  trustedKey([chains.testLeaf, chains.testIntermediate, chains.realRoot], chains.testRoot, at);
  const refused = {
    "a leaf without its OID": [chains.leafWithoutItsOid, chains.testIntermediate, third],
    "an intermediate without its OID": [
      chains.leafOfIntermediateWithoutItsOid,
      chains.intermediateWithoutItsOid,
      third,
    ],
    "another's leaf": [chains.realLeaf, chains.testIntermediate, third],
    "no leaf": [chains.testIntermediate, chains.testIntermediate, third],
  };
  for (const [name, chain] of Object.entries(refused)) {
    assert.throws(() => trustedKey(chain, chains.testRoot, at), Error, name);
  }
  assert.throws(() =>
    trustedKey([chains.testLeaf, chains.testIntermediate, third], appleRootCertificate, at)
  );
});

Deno.test("a chain of three that leads to the root is trusted, whatever its third certificate is", () => {
  trustedKey(chainOf(leaf, intermediate, root), root.certificate, now);
  trustedKey(chainOf(leaf, intermediate, otherRoot), root.certificate, now);
});

Deno.test("a chain that was found good is good for its root and its time alone, however many were found good", async () => {
  const chain = chainOf(leaf, intermediate, root);
  const key = trustedKey(chain, root.certificate, now);
  for (let count = 0; count < 9; count++) {
    const other = await issue("Leaf", intermediate, appStoreLeaf);
    assert.notEqual(trustedKey(chainOf(other, intermediate, root), root.certificate, now), key);
  }
  trustedKey(chain, root.certificate, now);
  assert.throws(() => trustedKey(chain, otherRoot.certificate, now), /not the issuer's/);
  assert.throws(() => trustedKey(chain, root.certificate, Date.parse("2050-01-01")), /not valid/);
  assert.throws(() => trustedKey(chain.slice(0, 2), root.certificate, now), /not three/);
  assert.throws(() => trustedKey(chainOf(leaf, root, root), root.certificate, now), /no intermediate/);
});

Deno.test("a chain is refused for each thing that can be wrong with it, and only for that", async () => {
  const past = { notBefore: new Date("2020-01-01"), notAfter: new Date("2026-11-20T11:58:00Z") };
  const future = { notBefore: new Date("2026-11-20T12:02:00Z"), notAfter: new Date("2040-01-01") };
  const made = {
    expiredLeaf: await issue("Leaf", intermediate, { ...appStoreLeaf, ...past }),
    futureLeaf: await issue("Leaf", intermediate, { ...appStoreLeaf, ...future }),
    expiredIntermediate: await issue("Intermediate", root, { oids: [appleIntermediateOid], ...past }),
    expiredRoot: await issue("Root", null, past),
    unmarkedLeaf: await issue("Leaf", intermediate, { ...appStoreLeaf, oids: [] }),
    wronglyMarkedLeaf: await issue("Leaf", intermediate, { ...appStoreLeaf, oids: [appleIntermediateOid] }),
    unmarkedIntermediate: await issue("Intermediate", root),
    wronglyMarkedIntermediate: await issue("Intermediate", root, { oids: [appStoreLeafOid] }),
    noAuthority: await issue("Intermediate", root, { oids: [appleIntermediateOid], isAuthority: false }),
    foreignIntermediate: await issue("Intermediate", otherRoot, { oids: [appleIntermediateOid] }),
    renamed: await issue("Somebody", root, { oids: [appleIntermediateOid] }),
  };
  const leafOf = (issuer: Parameters<typeof issue>[1]) => issue("Leaf", issuer, appStoreLeaf);
  const ofExpiredRoot = await issue("Intermediate", made.expiredRoot, { oids: [appleIntermediateOid] });
  const cases: [string, readonly string[], string, RegExp][] = [
    ["an expired leaf", chainOf(made.expiredLeaf, intermediate, root), root.certificate, /not valid/],
    ["a leaf of tomorrow", chainOf(made.futureLeaf, intermediate, root), root.certificate, /not valid/],
    [
      "an expired intermediate",
      chainOf(await leafOf(made.expiredIntermediate), made.expiredIntermediate, root),
      root.certificate,
      /not valid/,
    ],
    [
      "an expired root",
      chainOf(await leafOf(ofExpiredRoot), ofExpiredRoot, made.expiredRoot),
      made.expiredRoot.certificate,
      /not valid/,
    ],
    [
      "a leaf without its OID",
      chainOf(made.unmarkedLeaf, intermediate, root),
      root.certificate,
      /does not sign/,
    ],
    [
      "a leaf with another's",
      chainOf(made.wronglyMarkedLeaf, intermediate, root),
      root.certificate,
      /does not sign/,
    ],
    [
      "an intermediate without its OID",
      chainOf(await leafOf(made.unmarkedIntermediate), made.unmarkedIntermediate, root),
      root.certificate,
      /no intermediate/,
    ],
    [
      "an intermediate with another's",
      chainOf(await leafOf(made.wronglyMarkedIntermediate), made.wronglyMarkedIntermediate, root),
      root.certificate,
      /no intermediate/,
    ],
    [
      "an intermediate that is no authority",
      chainOf(await leafOf(made.noAuthority), made.noAuthority, root),
      root.certificate,
      /may not issue/,
    ],
    [
      "an intermediate of another root with the same name",
      chainOf(await leafOf(made.foreignIntermediate), made.foreignIntermediate, root),
      root.certificate,
      /not the issuer's/,
    ],
    [
      "a leaf of another with the same name",
      chainOf(await leafOf(made.foreignIntermediate), intermediate, root),
      root.certificate,
      /not the issuer's/,
    ],
    [
      "a leaf of somebody else",
      chainOf(await leafOf(made.renamed), intermediate, root),
      root.certificate,
      /by another/,
    ],
    ["another root", chainOf(leaf, intermediate, otherRoot), otherRoot.certificate, /not the issuer's/],
    ["the other way round", chainOf(root, intermediate, leaf), root.certificate, /does not sign/],
    ["two", chainOf(leaf, intermediate), root.certificate, /not three/],
    ["four", chainOf(leaf, intermediate, root, root), root.certificate, /not three/],
    ["none", [], root.certificate, /not three/],
    [
      "no certificate",
      ["bm90aGluZw==", intermediate.certificate, root.certificate],
      root.certificate,
      /DER|certificate/,
    ],
    [
      "more than a certificate",
      [withMore(leaf), intermediate.certificate, root.certificate],
      root.certificate,
      /no certificate/,
    ],
    ["nothing", ["", "", ""], root.certificate, /certificate/],
  ];
  for (const [name, chain, trusted, why] of cases) {
    assert.throws(() => trustedKey(chain, trusted, now), why, name);
  }
});
