/** What the tests' own App Store says, in the form of Apple's payloads, and whose app it is about. */
import type { AppStoreConfiguration } from "../../platform/config.ts";
import { type Authority, createAuthority, openAuthority } from "./authority.ts";

export const bundleId = "com.example.kinora";
export const appAppleId = 1234567890;
/** When it is signed, unless a payload says otherwise. */
export const signedAt = new Date("2026-11-20T12:00:00.000Z");

export interface TestAppStore extends Authority {
  readonly configuration: AppStoreConfiguration;
}

/** An App Store that a configuration trusts; `changes` are to that. */
export async function testAppStore(changes: Partial<AppStoreConfiguration> = {}): Promise<TestAppStore> {
  const authority = await openAuthority(await createAuthority());
  return { ...authority, configuration: trusting(authority.rootCertificate, changes) };
}

/** The configuration of our app, whose store's root is `rootCertificate`. */
export function trusting(
  rootCertificate: string,
  changes: Partial<AppStoreConfiguration> = {},
): AppStoreConfiguration {
  return { bundleId, appAppleId, rootCertificate, acceptsUnsigned: false, ...changes };
}

/** A consumable that was bought in production, as Apple's `JWSTransactionDecodedPayload`. */
export function transactionPayload(changes: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    transactionId: "2000000900000001",
    originalTransactionId: "2000000900000001",
    bundleId,
    productId: "credits_100",
    purchaseDate: signedAt.getTime() - 5_000,
    originalPurchaseDate: signedAt.getTime() - 5_000,
    quantity: 1,
    type: "Consumable",
    inAppOwnershipType: "PURCHASED",
    signedDate: signedAt.getTime(),
    environment: "Production",
    transactionReason: "PURCHASE",
    storefront: "USA",
    storefrontId: "143441",
    price: 4990,
    currency: "USD",
    appTransactionId: "704000000000000001",
    ...changes,
  };
}

/** A notification about production, as Apple's `ResponseBodyV2DecodedPayload`; `data` beside what each has. */
export function notificationPayload(
  { data = {}, ...changes }: Readonly<Record<string, unknown>> & {
    data?: Readonly<Record<string, unknown>>;
  } = {},
): Record<string, unknown> {
  return {
    notificationType: "ONE_TIME_CHARGE",
    notificationUUID: "002e14d5-51f5-4503-b5a8-c3a1af68eb20",
    version: "2.0",
    signedDate: signedAt.getTime(),
    data: { bundleId, appAppleId, bundleVersion: "1", environment: "Production", ...data },
    ...changes,
  };
}
