/**
 * What the App Store signs: a JWS whose header carries its certificates (transactions, renewals, notifications, app
 * transactions). What this returns was signed by Apple; whose app it is about, its reader checks.
 */
import { compactVerify, decodeJwt, decodeProtectedHeader } from "jose";
import * as z from "zod/mini";
import type { AppStoreConfiguration } from "../../platform/config.ts";
import { appleRootCertificate } from "./apple-root.ts";
import { trustedKey } from "./certificate-chain.ts";

/** Why signed data is not believed: the `reason` of ERR_4016. `wrong_environment`: it is Xcode's, or made for tests. */
export type SignedDataRefusal = "invalid_signature" | "wrong_app" | "not_a_transaction" | "wrong_environment";

/** Signed on the developer's own machine by no key of Apple's: only the local project of that developer takes it. */
const unsignedEnvironments: readonly unknown[] = ["Xcode", "LocalTesting"];

const header = z.object({ alg: z.literal("ES256"), x5c: z.array(z.string()) });
const dates = z.object({ signedDate: z.optional(z.number()), receiptCreationDate: z.optional(z.number()) });
/** An app transaction tells its environment as `receiptType`, a notification in its parts. */
const environments = z.object({ environment: z.optional(z.unknown()), receiptType: z.optional(z.unknown()) });

/**
 * The payload of `jws`, where Apple signed it and its certificates were valid then; without a date of its own, at `now`. A
 * local project also takes what Xcode made, whose signature proves nothing. Throws nothing.
 */
export async function readSignedData(
  jws: string,
  { rootCertificate, acceptsUnsigned }: AppStoreConfiguration,
  now: Date,
): Promise<{ payload: unknown } | { refusal: SignedDataRefusal }> {
  try {
    const payload = decodeJwt(jws);
    const places = [payload, ...Object.values(payload)].map((place) => environments.safeParse(place).data);
    const isUnsigned = places.some((place) =>
      unsignedEnvironments.includes(place?.environment) || unsignedEnvironments.includes(place?.receiptType)
    );
    if (isUnsigned) return acceptsUnsigned ? { payload } : { refusal: "wrong_environment" };
    const { signedDate, receiptCreationDate } = dates.parse(payload);
    const { x5c } = header.parse(decodeProtectedHeader(jws));
    const key = trustedKey(
      x5c,
      rootCertificate ?? appleRootCertificate,
      signedDate ?? receiptCreationDate ?? now.getTime(),
    );
    const verified = await compactVerify(jws, key, { algorithms: ["ES256"] });
    return { payload: JSON.parse(new TextDecoder().decode(verified.payload)) };
  } catch {
    return { refusal: "invalid_signature" };
  }
}
