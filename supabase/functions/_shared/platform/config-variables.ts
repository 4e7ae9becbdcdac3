/** The environment's variables in words, for the documents and for whoever deploys. No endpoint bundles it. */
import { defaults, type VariableName } from "./config.ts";

export interface Variable {
  /** `platform`: set by Supabase; `secret`: set by the operator; `optional`: has a default. */
  readonly kind: "platform" | "secret" | "optional";
  readonly purpose: string;
  /** What does not work without it; for an optional one, the value that is used then. */
  readonly without: string;
}

const allFails = "every endpoint answers ERR_6003";
const webhooksFail = "no generation is submitted, and provider-webhook refuses every event";
const noServerIsTold = "no other server is told of events, and admin-webhooks makes no webhook";
const workerSleeps = "nothing wakes the worker: a lost webhook or a busy provider waits for its deadline";
const metricsAreClosed = "only a secret key opens metrics";
const falFails = "no generation is submitted to fal";
const replicateFails = "no generation is submitted to Replicate";
const runwayFails = "no generation is submitted to Runway";
const moderationIsOff = "prompts are only held to the operator's terms";
const appleFails = "device-check leaves the initial grant pending";
const appleIsNotTold = "Apple is not told when somebody who signed in with Apple closes their account";
const purchasesFail = "no purchase is credited";
const appStoreIsNotAsked = "no refund request is answered, and a notification that was lost stays lost";
const nothingIsPushed = "devices are told nothing; the inbox has it all";

// deno-fmt-ignore: one line a variable
export const variables: Readonly<Record<VariableName, Variable>> = {
  SUPABASE_URL: { kind: "platform", purpose: "The project's API", without: allFails },
  SUPABASE_PUBLISHABLE_KEYS: { kind: "platform", purpose: "The keys of apps, as JSON: name to key", without: allFails },
  SUPABASE_SECRET_KEYS: { kind: "platform", purpose: "The keys of servers, as JSON: name to key", without: allFails },
  SUPABASE_JWKS: { kind: "platform", purpose: "The keys that user tokens are signed with", without: allFails },
  WEBHOOK_SECRET: { kind: "secret", purpose: "Signs the webhook URLs given to providers; 32 characters or more", without: webhooksFail },
  OUTBOUND_WEBHOOK_KEY: { kind: "secret", purpose: "Seals the secrets of webhooks to other servers; 32 bytes in base64", without: noServerIsTold },
  WORKER_KEY: { kind: "secret", purpose: "What the database wakes the worker with, also in Vault; 32 characters or more", without: workerSleeps },
  METRICS_TOKEN: { kind: "secret", purpose: "What Prometheus asks metrics with; 32 characters or more", without: metricsAreClosed },
  FAL_KEY: { kind: "secret", purpose: "fal's API key", without: falFails },
  FAL_ACCOUNT_ID: { kind: "secret", purpose: "The account that fal's webhooks must name", without: falFails },
  REPLICATE_API_TOKEN: { kind: "secret", purpose: "Replicate's API token", without: replicateFails },
  REPLICATE_WEBHOOK_SECRET: { kind: "secret", purpose: "What Replicate signs our webhooks with: whsec_…", without: replicateFails },
  RUNWAY_API_SECRET: { kind: "secret", purpose: "Runway's API key", without: runwayFails },
  OPENAI_API_KEY: { kind: "secret", purpose: "The key for OpenAI's moderation of prompts", without: moderationIsOff },
  APPLE_TEAM_ID: { kind: "secret", purpose: "Issuer of the tokens for DeviceCheck", without: appleFails },
  APPLE_DEVICE_CHECK_KEY_ID: { kind: "secret", purpose: "The DeviceCheck key's id", without: appleFails },
  APPLE_DEVICE_CHECK_PRIVATE_KEY: { kind: "secret", purpose: "The DeviceCheck key, PKCS#8 in PEM", without: appleFails },
  APPLE_SIGN_IN_KEY_ID: { kind: "secret", purpose: "The Sign in with Apple key's id", without: appleIsNotTold },
  APPLE_SIGN_IN_PRIVATE_KEY: { kind: "secret", purpose: "The Sign in with Apple key, PKCS#8 in PEM", without: appleIsNotTold },
  APP_STORE_BUNDLE_ID: { kind: "secret", purpose: "The app that purchases must be of", without: purchasesFail },
  APP_STORE_APP_ID: { kind: "secret", purpose: "The app's Apple ID, a number, in App Store Connect", without: purchasesFail },
  APP_STORE_ISSUER_ID: { kind: "secret", purpose: "Issuer of the tokens for the App Store Server API", without: appStoreIsNotAsked },
  APP_STORE_KEY_ID: { kind: "secret", purpose: "The In-App Purchase key's id", without: appStoreIsNotAsked },
  APP_STORE_PRIVATE_KEY: { kind: "secret", purpose: "The In-App Purchase key, PKCS#8 in PEM", without: appStoreIsNotAsked },
  APNS_TEAM_ID: { kind: "secret", purpose: "Issuer of the tokens for APNs", without: nothingIsPushed },
  APNS_KEY_ID: { kind: "secret", purpose: "The APNs key's id", without: nothingIsPushed },
  APNS_KEY: { kind: "secret", purpose: "The APNs key (.p8), PKCS#8 in PEM", without: nothingIsPushed },
  APNS_TOPIC: { kind: "secret", purpose: "The app that is told: its bundle id", without: nothingIsPushed },
  FAL_QUEUE_URL: { kind: "optional", purpose: "fal's queue API", without: defaults.FAL_QUEUE_URL },
  FAL_API_URL: { kind: "optional", purpose: "fal's Platform APIs, which tell our balance", without: defaults.FAL_API_URL },
  FAL_JWKS_URL: { kind: "optional", purpose: "Where fal publishes its webhook keys", without: defaults.FAL_JWKS_URL },
  FAL_RESULT_HOSTS: { kind: "optional", purpose: "Hosts that results are fetched from, comma separated", without: defaults.FAL_RESULT_HOSTS },
  REPLICATE_API_URL: { kind: "optional", purpose: "Replicate's API", without: defaults.REPLICATE_API_URL },
  REPLICATE_RESULT_HOSTS: { kind: "optional", purpose: "Hosts that results are fetched from, comma separated", without: defaults.REPLICATE_RESULT_HOSTS },
  RUNWAY_API_URL: { kind: "optional", purpose: "Runway's API", without: defaults.RUNWAY_API_URL },
  RUNWAY_RESULT_HOSTS: { kind: "optional", purpose: "Hosts that results are fetched from, comma separated", without: defaults.RUNWAY_RESULT_HOSTS },
  OPENAI_API_URL: { kind: "optional", purpose: "OpenAI's API", without: defaults.OPENAI_API_URL },
  APPLE_DEVICE_CHECK_URL: { kind: "optional", purpose: "Apple's DeviceCheck API", without: defaults.APPLE_DEVICE_CHECK_URL },
  APPLE_ID_URL: { kind: "optional", purpose: "Sign in with Apple", without: defaults.APPLE_ID_URL },
  APPLE_CLIENT_IDS: { kind: "optional", purpose: "The apps and services that people sign in to with Apple, comma separated", without: "APP_STORE_BUNDLE_ID" },
  APP_STORE_API_URL: { kind: "optional", purpose: "The App Store Server API", without: defaults.APP_STORE_API_URL },
  APP_STORE_SANDBOX_API_URL: { kind: "optional", purpose: "The same for the sandbox", without: defaults.APP_STORE_SANDBOX_API_URL },
  APNS_URL: { kind: "optional", purpose: "APNs", without: defaults.APNS_URL },
  APNS_SANDBOX_URL: { kind: "optional", purpose: "APNs for builds of Xcode's", without: defaults.APNS_SANDBOX_URL },
  APP_STORE_ROOT_CERTIFICATE: { kind: "optional", purpose: "In a local project alone: whose signatures are the App Store's", without: "Apple Root CA - G3" },
  SIMULATED_WEB: { kind: "optional", purpose: "In a local project alone: who answers for the example.com of pictures' addresses", without: "the web" },
  WEBHOOK_PROXY_URL: { kind: "optional", purpose: "An http proxy (CONNECT) by way of which other servers are told of events", without: "none" },
  PUBLIC_FUNCTIONS_URL: { kind: "optional", purpose: "Base of the URLs that providers call", without: "SUPABASE_URL + /functions/v1" },
  JWT_ISSUER: { kind: "optional", purpose: "The issuer that user tokens must name", without: "SUPABASE_URL + /auth/v1" },
  CLIENT_ADDRESS_HEADER: { kind: "optional", purpose: "The one header that tells the client's address", without: defaults.CLIENT_ADDRESS_HEADER },
  CORS_ALLOW_ORIGIN: { kind: "optional", purpose: "`*`, or the origins that may call from a browser, comma separated", without: defaults.CORS_ALLOW_ORIGIN },
  ADMIN_ASSURANCE_LEVEL: { kind: "optional", purpose: "What an admin's token must say: aal2 (a second factor), or aal1 where the platform offers none", without: defaults.ADMIN_ASSURANCE_LEVEL },
  REQUIRE_APP_TRANSACTION: { kind: "optional", purpose: "true: a device's credits are granted to proved Apple Accounts alone, once to each", without: defaults.REQUIRE_APP_TRANSACTION },
  METRICS_INTERVAL_SECONDS: { kind: "optional", purpose: "How long an isolate keeps its counts before it tells them: 0 to 10", without: defaults.METRICS_INTERVAL_SECONDS },
  ENVIRONMENT: { kind: "optional", purpose: "production, staging, local or test; the last two refuse answers that break the contract", without: defaults.ENVIRONMENT },
  DENO_DEPLOYMENT_ID: { kind: "optional", purpose: "Set by the platform: the version that health tells", without: defaults.DENO_DEPLOYMENT_ID },
  LOG_LEVEL: { kind: "optional", purpose: "debug, info, warn, error or critical", without: defaults.LOG_LEVEL },
};
