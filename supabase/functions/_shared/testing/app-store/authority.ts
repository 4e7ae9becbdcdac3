/**
 * Certificates as those that the App Store signs with: a root and an intermediate with P-384, a leaf with P-256, all signed with
 * SHA-384, and Apple's two OIDs. The tests' own, and the simulated App Store's.
 */
import "reflect-metadata";
import {
  BasicConstraintsExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { CompactSign, type CryptoKey as SigningKey, exportPKCS8, importPKCS8 } from "jose";

export const appStoreLeafOid = "1.2.840.113635.100.6.11.1";
export const appleIntermediateOid = "1.2.840.113635.100.6.2.1";

export interface Issuer {
  /** DER in base64. */
  readonly certificate: string;
  readonly privateKey: CryptoKey;
}

/** What a certificate is like; without anything said, as Apple's are. */
export interface CertificateOptions {
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** The extensions that mark it, by OID; none for a root. */
  readonly oids?: readonly string[];
  readonly isAuthority?: boolean;
  readonly curve?: "P-256" | "P-384";
}

export const appStoreLeaf: CertificateOptions = {
  isAuthority: false,
  curve: "P-256",
  oids: [appStoreLeafOid],
};

/** A name, and a certificate for it from `issuer`, or from itself. */
export async function issue(
  name: string,
  issuer: Issuer | null,
  options: CertificateOptions = {},
): Promise<Issuer> {
  const { isAuthority = true, curve = "P-384", oids = [] } = options;
  const keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: curve }, true, [
    "sign",
    "verify",
  ]);
  const subject = `CN=${name}, O=Kinora, C=US`;
  const from = issuer ?? { privateKey: keys.privateKey, certificate: null };
  const certificate = await X509CertificateGenerator.create({
    subject,
    issuer: from.certificate === null ? subject : new X509Certificate(from.certificate).subject,
    publicKey: keys.publicKey,
    signingKey: from.privateKey,
    signingAlgorithm: { name: "ECDSA", hash: "SHA-384" },
    // Wide, since tests and the simulator's clock leave the present.
    notBefore: options.notBefore ?? new Date("2020-01-01T00:00:00Z"),
    notAfter: options.notAfter ?? new Date("2045-01-01T00:00:00Z"),
    extensions: [
      new BasicConstraintsExtension(isAuthority, undefined, true),
      new KeyUsagesExtension(
        isAuthority ? KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign : KeyUsageFlags.digitalSignature,
        true,
      ),
      // Apple's hold an ASN.1 NULL.
      ...oids.map((oid) => new Extension(oid, false, new Uint8Array([5, 0]))),
    ],
  });
  return { certificate: certificate.toString("base64"), privateKey: keys.privateKey };
}

/** Who signs as the App Store. */
export interface Authority {
  /** What must be trusted, in DER and base64. */
  readonly rootCertificate: string;
  /** Leaf, intermediate and root. */
  readonly x5c: readonly string[];
  /** The JWS of a payload, as Apple makes it. */
  sign(payload: unknown, header?: Readonly<Record<string, unknown>>): Promise<string>;
}

/** Signs with the key of the leaf that `x5c` begins with. */
export function signing(x5c: readonly string[], privateKey: SigningKey): Authority {
  return {
    rootCertificate: x5c.at(-1) ?? "",
    x5c,
    sign: (payload, header = {}) =>
      new CompactSign(new TextEncoder().encode(JSON.stringify(payload)))
        .setProtectedHeader({ alg: "ES256", x5c: [...x5c], ...header })
        .sign(privateKey),
  };
}

/** An authority that can be written down and read again. */
export interface StoredAuthority {
  readonly x5c: readonly string[];
  /** Of the leaf, PKCS#8 in PEM. */
  readonly privateKey: string;
}

/** Makes a root, an intermediate and a leaf, of which only the leaf's key is kept. */
export async function createAuthority(): Promise<StoredAuthority> {
  const root = await issue("Root CA - G3", null);
  const intermediate = await issue("Developer Relations CA", root, { oids: [appleIntermediateOid] });
  const leaf = await issue("App Store Receipt Signing", intermediate, appStoreLeaf);
  return {
    x5c: [leaf, intermediate, root].map(({ certificate }) => certificate),
    privateKey: await exportPKCS8(leaf.privateKey),
  };
}

/** Signs as the App Store whose root `x5c` ends with. */
export async function openAuthority({ x5c, privateKey }: StoredAuthority): Promise<Authority> {
  return signing(x5c, await importPKCS8(privateKey, "ES256"));
}
