/**
 * The environment in which the functions run.
 */
import { type Keys, publicKeyOf } from "../keys.ts";
import type { OutsideServices } from "../outside-services.ts";

/** The keys that users' tokens are signed with, for those who check them. */
export function jwksOf({ signingKey }: Keys): { keys: Record<string, unknown>[] } {
  return { keys: [{ ...publicKeyOf(signingKey) }] };
}

/** What the platform gives to functions, the project's secrets, and where the services outside are; `changes` has the last word. */
export function functionsEnvironment(
  url: string,
  keys: Keys,
  { fal, replicate, runway, openAi, deviceCheck, appStore, appleId, web, apns }: OutsideServices,
  changes: Record<string, string | undefined>,
): Record<string, string> {
  const environment = {
    SUPABASE_URL: url,
    SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: keys.publishableKey }),
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: keys.secretKey }),
    SUPABASE_JWKS: JSON.stringify(jwksOf(keys)),
    ENVIRONMENT: "local",
    // Whoever has this machine is its operator; aal2 asks for a second factor, as the platform does.
    ADMIN_ASSURANCE_LEVEL: "aal1",
    WEBHOOK_SECRET: keys.webhookSecret,
    OUTBOUND_WEBHOOK_KEY: keys.outboundWebhookKey,
    WORKER_KEY: keys.workerKey,
    METRICS_TOKEN: keys.metricsToken,
    FAL_KEY: keys.falKey,
    FAL_ACCOUNT_ID: keys.falAccountId,
    FAL_QUEUE_URL: fal.url,
    FAL_API_URL: `${fal.url}/v1`,
    FAL_JWKS_URL: fal.jwksUrl,
    FAL_RESULT_HOSTS: fal.mediaHost,
    REPLICATE_API_TOKEN: keys.replicateToken,
    REPLICATE_WEBHOOK_SECRET: keys.replicateWebhookSecret,
    REPLICATE_API_URL: replicate.url,
    REPLICATE_RESULT_HOSTS: replicate.mediaHost,
    RUNWAY_API_SECRET: keys.runwaySecret,
    RUNWAY_API_URL: runway.url,
    RUNWAY_RESULT_HOSTS: runway.mediaHost,
    OPENAI_API_KEY: keys.openAiKey,
    OPENAI_API_URL: openAi.url,
    APPLE_TEAM_ID: keys.appleTeamId,
    APPLE_DEVICE_CHECK_KEY_ID: keys.deviceCheckKeyId,
    APPLE_DEVICE_CHECK_PRIVATE_KEY: keys.deviceCheckPrivateKey,
    APPLE_DEVICE_CHECK_URL: deviceCheck.url,
    APPLE_SIGN_IN_KEY_ID: keys.appleIdKeyId,
    APPLE_SIGN_IN_PRIVATE_KEY: keys.appleIdPrivateKey,
    APPLE_ID_URL: appleId.url,
    APP_STORE_BUNDLE_ID: keys.appStoreBundleId,
    APP_STORE_APP_ID: String(keys.appStoreAppId),
    APP_STORE_ISSUER_ID: keys.appStoreIssuerId,
    APP_STORE_KEY_ID: keys.appStoreKeyId,
    APP_STORE_PRIVATE_KEY: keys.appStorePrivateKey,
    APP_STORE_API_URL: appStore.url,
    APP_STORE_SANDBOX_API_URL: appStore.sandboxUrl,
    APP_STORE_ROOT_CERTIFICATE: appStore.rootCertificate,
    APNS_TEAM_ID: keys.appleTeamId,
    APNS_KEY_ID: keys.apnsKeyId,
    APNS_KEY: keys.apnsPrivateKey,
    APNS_TOPIC: keys.appStoreBundleId,
    APNS_URL: apns.productionUrl,
    APNS_SANDBOX_URL: apns.sandboxUrl,
    SIMULATED_WEB: web.configuration,
    ...changes,
  };
  const set = Object.entries(environment).filter((entry): entry is [string, string] =>
    entry[1] !== undefined
  );
  return Object.fromEntries(set);
}
