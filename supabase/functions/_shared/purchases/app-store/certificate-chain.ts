/**
 * A chain of three X.509 certificates, of which only the root's key is trusted. `node:crypto` reads a certificate and verifies
 * its signature; what it does not tell on the platform's Deno 2.1 is read from the DER here: the signed part, the algorithm
 * and the extensions. The libraries that do all of it verify nothing there (decision 0041).
 */
import { Buffer } from "node:buffer";
import { type KeyObject, verify, X509Certificate } from "node:crypto";

/** Of Apple's extensions: the leaf signs for the App Store, and the intermediate is for such leaves. OIDs as DER has them. */
const appStoreLeaf = "2a864886f76364060b01"; // 1.2.840.113635.100.6.11.1
const appleIntermediate = "2a864886f76364060201"; // 1.2.840.113635.100.6.2.1

/** By the OID of a certificate's signature, and not by its key's curve: Apple's own pairs P-256 with SHA-384. */
const digests: Readonly<Record<string, string>> = {
  "2a8648ce3d040302": "sha256",
  "2a8648ce3d040303": "sha384",
  "2a8648ce3d040304": "sha512",
};

/** Apple's library allows its own clock as much. */
const clockToleranceMilliseconds = 60_000;

/** Of tags in DER, those that are looked for. */
const tags = { bitString: 0x03, objectIdentifier: 0x06, sequence: 0x30, version: 0xa0, extensions: 0xa3 };

interface Certificate {
  readonly parsed: X509Certificate;
  /** What is signed. */
  readonly signedPart: Uint8Array;
  /** In DER. */
  readonly signature: Uint8Array;
  readonly digest: string;
  /** Names in DER, and OIDs, in hexadecimal. */
  readonly issuer: string;
  readonly subject: string;
  readonly extensions: readonly string[];
}

/** An encoded value: its content, and all of it. */
interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
  readonly whole: Uint8Array;
}

/** A chain that was found good: what it is good for, and from when until when, in milliseconds since 1970. */
interface Trusted {
  readonly key: KeyObject;
  readonly from: number;
  readonly until: number;
}

/** Apple signs with one leaf for a year, and proving its chain is nine tenths of the work of a verification. */
const remembered = new Map<string, Trusted>();
/** Apple has a leaf for each environment, and for a while two. Only what is good is remembered, so nobody else fills it. */
const mostRemembered = 8;

/**
 * The key of the leaf of `[leaf, intermediate, any]`, certificates in base64, where they are Apple's for the App Store,
 * lead to `root` (in base64, too) and are valid at the time `at`, in milliseconds since 1970. The third is not looked at: Apple's
 * own data carries several. Throws where anything is wrong.
 */
export function trustedKey(x5c: readonly string[], root: string, at: number): KeyObject {
  const [leaf, intermediate] = x5c;
  if (leaf === undefined || intermediate === undefined || x5c.length !== 3) {
    throw new Error("not three certificates");
  }
  const name = [leaf, intermediate, root].join();
  const trusted = remembered.get(name) ?? proveChain(root, intermediate, leaf);
  if (!remembered.has(name)) {
    if (remembered.size >= mostRemembered) remembered.clear();
    remembered.set(name, trusted);
  }
  // Written so that a date that cannot be read fails.
  const isValid = trusted.from <= at + clockToleranceMilliseconds &&
    at - clockToleranceMilliseconds <= trusted.until;
  if (!isValid) throw new Error("not valid when it signed");
  return trusted.key;
}

function proveChain(...texts: [root: string, intermediate: string, leaf: string]): Trusted {
  const certificates = texts.map(readCertificate);
  const [root, intermediate, leaf] = certificates;
  if (root === undefined || intermediate === undefined || leaf === undefined) throw new Error("no chain");
  if (!intermediate.parsed.ca) throw new Error("the intermediate may not issue certificates");
  if (!intermediate.extensions.includes(appleIntermediate)) throw new Error("no intermediate of Apple's");
  if (!leaf.extensions.includes(appStoreLeaf)) throw new Error("a leaf that does not sign for the App Store");
  checkIssued(intermediate, root);
  checkIssued(leaf, intermediate);
  return {
    key: leaf.parsed.publicKey,
    from: Math.max(...certificates.map(({ parsed }) => Date.parse(parsed.validFrom))),
    until: Math.min(...certificates.map(({ parsed }) => Date.parse(parsed.validTo))),
  };
}

function checkIssued(certificate: Certificate, by: Certificate): void {
  const { signedPart, signature, digest, issuer } = certificate;
  if (issuer !== by.subject) throw new Error("issued by another");
  if (!verify(digest, signedPart, by.parsed.publicKey, signature)) {
    throw new Error("a signature that is not the issuer's");
  }
}

function readCertificate(base64: string): Certificate {
  const bytes = Buffer.from(base64, "base64");
  const [certificate, ...rest] = readElements(bytes);
  if (certificate?.tag !== tags.sequence || rest.length > 0) throw new Error("no certificate");
  const [signedPart, algorithm, signature] = readElements(certificate.content);
  if (signedPart?.tag !== tags.sequence || algorithm === undefined || signature?.tag !== tags.bitString) {
    throw new Error("no certificate");
  }
  // Serial number, algorithm, issuer, validity, subject, then what this does not need.
  const fields = readElements(signedPart.content).filter(({ tag }) => tag !== tags.version);
  const [, , issuer, , subject] = fields;
  if (issuer === undefined || subject === undefined) throw new Error("no certificate");
  const digest = digests[hex(readElements(algorithm.content)[0]?.content)];
  if (digest === undefined) throw new Error("another algorithm");
  const [extensions] = fields
    .filter(({ tag }) => tag === tags.extensions)
    .flatMap(({ content }) => readElements(content));
  return {
    parsed: new X509Certificate(bytes),
    signedPart: signedPart.whole,
    // Its first byte counts the bits that are not used: none.
    signature: signature.content.subarray(1),
    digest,
    issuer: hex(issuer.whole),
    subject: hex(subject.whole),
    extensions: readElements(extensions?.content ?? new Uint8Array()).map(({ content }) => {
      const [id] = readElements(content);
      return id?.tag === tags.objectIdentifier ? hex(id.content) : "";
    }),
  };
}

/** The values that stand one after the other. Throws where `bytes` are not made of such. */
function readElements(bytes: Uint8Array): Element[] {
  const elements: Element[] = [];
  for (let start = 0; start < bytes.length;) {
    const [tag = 0, first = 0x80] = bytes.subarray(start, start + 2);
    // A short length is the byte itself; a long one says how many bytes hold it. A certificate needs two at most.
    const lengthBytes = first < 0x80 ? 0 : first - 0x80;
    if (first === 0x80 || lengthBytes > 2) throw new Error("no DER");
    const from = start + 2 + lengthBytes;
    const length = first < 0x80
      ? first
      : bytes.subarray(start + 2, from).reduce((sum, byte) => sum * 256 + byte, 0);
    if (from + length > bytes.length) throw new Error("no DER");
    elements.push({
      tag,
      content: bytes.subarray(from, from + length),
      whole: bytes.subarray(start, from + length),
    });
    start = from + length;
  }
  return elements;
}

function hex(bytes: Uint8Array | undefined): string {
  return Array.from(bytes ?? [], (byte) => byte.toString(16).padStart(2, "0")).join("");
}
