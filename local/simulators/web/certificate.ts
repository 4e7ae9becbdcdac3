/** Certificates of web servers. */
import "reflect-metadata";
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";

export interface ServerCertificate {
  /** All in PEM: the server's key, its certificate, and whose word that is. */
  readonly key: string;
  readonly chain: string;
  readonly authority: string;
}

/** A certificate for these names, by an authority that is made for it. */
export async function issueForNames(names: readonly string[]): Promise<ServerCertificate> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const makeKeys = () => crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const [authorityKeys, serverKeys] = await Promise.all([makeKeys(), makeKeys()]);
  const issuer = "CN=The simulated web, O=Kinora";
  const common = {
    issuer,
    signingKey: authorityKeys.privateKey,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() - 86_400_000),
    // Longer than any stack runs, and no longer than public servers' may.
    notAfter: new Date(Date.now() + 90 * 86_400_000),
  };
  const authority = await X509CertificateGenerator.create({
    ...common,
    subject: issuer,
    publicKey: authorityKeys.publicKey,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
    ],
  });
  const server = await X509CertificateGenerator.create({
    ...common,
    subject: "CN=a page, O=Kinora",
    publicKey: serverKeys.publicKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns" as const, value }))),
    ],
  });
  const key = await crypto.subtle.exportKey("pkcs8", serverKeys.privateKey);
  return {
    key: PemConverter.encode(key, "PRIVATE KEY"),
    chain: server.toString("pem"),
    authority: authority.toString("pem"),
  };
}
