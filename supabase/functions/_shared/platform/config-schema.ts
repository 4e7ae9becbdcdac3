/** What each variable of the environment must look like, and what stands in for it. config.ts makes the configuration of it. */
import * as z from "zod/mini";
import { logLevels } from "./logger.ts";

export const environments = ["production", "staging", "local", "test"] as const;
export type Environment = (typeof environments)[number];

/** The values of optional variables that are not set. */
export const defaults = {
  FAL_QUEUE_URL: "https://queue.fal.run",
  FAL_API_URL: "https://api.fal.ai/v1",
  FAL_JWKS_URL: "https://rest.fal.ai/.well-known/jwks.json",
  FAL_RESULT_HOSTS: "fal.media,*.fal.media",
  REPLICATE_API_URL: "https://api.replicate.com",
  REPLICATE_RESULT_HOSTS: "replicate.delivery,*.replicate.delivery",
  RUNWAY_API_URL: "https://api.dev.runwayml.com",
  // Runway's own distribution: a name below cloudfront.net is for anybody to have.
  RUNWAY_RESULT_HOSTS: "dnznrvs05pmza.cloudfront.net",
  OPENAI_API_URL: "https://api.openai.com",
  APPLE_DEVICE_CHECK_URL: "https://api.devicecheck.apple.com",
  APPLE_ID_URL: "https://appleid.apple.com",
  APP_STORE_API_URL: "https://api.storekit.apple.com",
  APP_STORE_SANDBOX_API_URL: "https://api.storekit-sandbox.apple.com",
  APNS_URL: "https://api.push.apple.com",
  APNS_SANDBOX_URL: "https://api.sandbox.push.apple.com",
  CLIENT_ADDRESS_HEADER: "cf-connecting-ip",
  CORS_ALLOW_ORIGIN: "*",
  ADMIN_ASSURANCE_LEVEL: "aal2",
  REQUIRE_APP_TRANSACTION: "false",
  // With the call itself less than the 10 s after which a count is promised to have been told.
  METRICS_INTERVAL_SECONDS: "8",
  ENVIRONMENT: "production",
  LOG_LEVEL: "info",
  DENO_DEPLOYMENT_ID: "local",
} as const;

/** What the operator sets. A feature whose secrets are absent is off, and the rest works. */
export const secrets = [
  "WEBHOOK_SECRET",
  "OUTBOUND_WEBHOOK_KEY",
  "WORKER_KEY",
  "METRICS_TOKEN",
  "FAL_KEY",
  "FAL_ACCOUNT_ID",
  "REPLICATE_API_TOKEN",
  "REPLICATE_WEBHOOK_SECRET",
  "RUNWAY_API_SECRET",
  "OPENAI_API_KEY",
  "APPLE_TEAM_ID",
  "APPLE_DEVICE_CHECK_KEY_ID",
  "APPLE_DEVICE_CHECK_PRIVATE_KEY",
  "APPLE_SIGN_IN_KEY_ID",
  "APPLE_SIGN_IN_PRIVATE_KEY",
  "APP_STORE_BUNDLE_ID",
  "APP_STORE_APP_ID",
  "APP_STORE_ISSUER_ID",
  "APP_STORE_KEY_ID",
  "APP_STORE_PRIVATE_KEY",
  "APNS_TEAM_ID",
  "APNS_KEY_ID",
  "APNS_KEY",
  "APNS_TOPIC",
] as const;

const text = z.string();

/** What goes into a header. */
const secret = text.check(
  z.regex(
    /^[\x21-\x7e]+$/,
    "must have no white space or invisible characters within, and ASCII characters only",
  ),
);

function parseUrl(value: string): URL | null {
  return URL.canParse(value) ? new URL(value) : null;
}

function isLoopback(value: string): boolean {
  return ["localhost", "127.0.0.1", "[::1]"].includes(parseUrl(value)?.hostname ?? "");
}

const withoutSlash = (value: string) => value.replace(/\/+$/, "");

const url = z.pipe(
  text.check(
    z.refine((value) => ["http:", "https:"].includes(parseUrl(value)?.protocol ?? ""), "must be a URL"),
  ),
  z.transform(withoutSlash),
);

/** Keys and prompts go there: in clear text only to this machine, where the simulators are. */
const secureUrl = url.check(
  z.refine((value) => parseUrl(value)?.protocol === "https:" || isLoopback(value), "must be an https URL"),
);

function json<Schema extends z.ZodMiniType>(schema: Schema, message: string) {
  const parsed = z.transform((value: string, { issues }): unknown => {
    try {
      return JSON.parse(value);
    } catch {
      issues.push({ code: "custom", input: value, message });
      return z.NEVER;
    }
  });
  return z.pipe(z.pipe(text, parsed), schema);
}

const namedKeys = (prefix: string) => {
  const message = `must be a JSON object of keys that start with ${prefix}`;
  return json(
    z.record(z.string(), z.string().check(z.trim(), z.startsWith(prefix, message)), message)
      .check(z.refine((keys) => Object.keys(keys).length > 0, message)),
    message,
  );
};

const jwksMessage = "must be a JSON object with keys, each with kty and kid";
const jwks = json(
  z.looseObject({
    keys: z.array(z.looseObject({ kty: z.string(jwksMessage), kid: z.string(jwksMessage) }), jwksMessage)
      .check(z.minLength(1, jwksMessage)),
  }, jwksMessage),
  jwksMessage,
);

const parts = (value: string) => value.split(",").map((part) => part.trim());

const list = (item: z.ZodMiniType<string, string>) =>
  z.pipe(
    z.pipe(text, z.transform((value: string) => parts(value).filter((part) => part !== ""))),
    z.array(item).check(z.minLength(1, "must not be empty")),
  );

const host = text.check(
  z.regex(/^(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?$/i, "must be host names"),
);

const origins = z.pipe(text, z.transform((value: string) => value === "*" ? value : parts(value)))
  .check(z.refine(
    (value) =>
      value === "*" || (Array.isArray(value) && value.every((part) => parseUrl(part)?.origin === part)),
    "must be * or origins such as https://app.example.com",
  ));

/** Secret stores often hold a PEM on one line, with its line breaks written as \n. */
const pem = z.pipe(text, z.transform((value: string) => value.replaceAll("\\n", "\n")))
  .check(z.refine(
    (value) => /-----BEGIN PRIVATE KEY-----[\sA-Za-z0-9+/=]+-----END PRIVATE KEY-----/.test(value),
    "must be a PKCS#8 private key in PEM",
  ));

/** Standard Webhooks asks for 24 bytes or more. */
const standardWebhookSecret = text.check(z.regex(
  /^whsec_(?=.{32})(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
  "must be whsec_ and 24 bytes or more in base64",
));

const simulatedWebMessage = "must be a JSON object with dns_port, https_port and certificate";

export const environmentSchema = z.object({
  SUPABASE_URL: url,
  SUPABASE_PUBLISHABLE_KEYS: namedKeys("sb_publishable_"),
  SUPABASE_SECRET_KEYS: namedKeys("sb_secret_"),
  SUPABASE_JWKS: jwks,
  WEBHOOK_SECRET: z.optional(text.check(z.minLength(32, "must have 32 characters or more"))),
  OUTBOUND_WEBHOOK_KEY: z.optional(
    text.check(z.regex(/^[A-Za-z0-9+/]{43}=$/, "must be 32 bytes in base64")),
  ),
  WEBHOOK_PROXY_URL: z.optional(
    text.check(z.refine((value) => parseUrl(value)?.protocol === "http:", "must be an http URL")),
  ),
  WORKER_KEY: z.optional(secret.check(z.minLength(32, "must have 32 characters or more"))),
  METRICS_TOKEN: z.optional(secret.check(z.minLength(32, "must have 32 characters or more"))),
  FAL_KEY: z.optional(secret),
  FAL_ACCOUNT_ID: z.optional(secret),
  REPLICATE_API_TOKEN: z.optional(secret),
  REPLICATE_WEBHOOK_SECRET: z.optional(standardWebhookSecret),
  RUNWAY_API_SECRET: z.optional(secret),
  OPENAI_API_KEY: z.optional(secret),
  APPLE_TEAM_ID: z.optional(secret),
  APPLE_DEVICE_CHECK_KEY_ID: z.optional(secret),
  APPLE_DEVICE_CHECK_PRIVATE_KEY: z.optional(pem),
  APPLE_SIGN_IN_KEY_ID: z.optional(secret),
  APPLE_SIGN_IN_PRIVATE_KEY: z.optional(pem),
  APP_STORE_BUNDLE_ID: z.optional(secret),
  APP_STORE_APP_ID: z.optional(
    z.pipe(text.check(z.regex(/^[1-9]\d{0,14}$/, "must be a number")), z.transform(Number)),
  ),
  APP_STORE_ISSUER_ID: z.optional(secret),
  APP_STORE_KEY_ID: z.optional(secret),
  APP_STORE_PRIVATE_KEY: z.optional(pem),
  APNS_TEAM_ID: z.optional(secret),
  APNS_KEY_ID: z.optional(secret),
  APNS_KEY: z.optional(pem),
  APNS_TOPIC: z.optional(secret),
  FAL_QUEUE_URL: z.prefault(secureUrl, defaults.FAL_QUEUE_URL),
  FAL_API_URL: z.prefault(secureUrl, defaults.FAL_API_URL),
  FAL_JWKS_URL: z.prefault(secureUrl, defaults.FAL_JWKS_URL),
  FAL_RESULT_HOSTS: z.prefault(list(host), defaults.FAL_RESULT_HOSTS),
  REPLICATE_API_URL: z.prefault(secureUrl, defaults.REPLICATE_API_URL),
  REPLICATE_RESULT_HOSTS: z.prefault(list(host), defaults.REPLICATE_RESULT_HOSTS),
  RUNWAY_API_URL: z.prefault(secureUrl, defaults.RUNWAY_API_URL),
  RUNWAY_RESULT_HOSTS: z.prefault(list(host), defaults.RUNWAY_RESULT_HOSTS),
  OPENAI_API_URL: z.prefault(secureUrl, defaults.OPENAI_API_URL),
  APPLE_DEVICE_CHECK_URL: z.prefault(secureUrl, defaults.APPLE_DEVICE_CHECK_URL),
  APPLE_ID_URL: z.prefault(secureUrl, defaults.APPLE_ID_URL),
  APPLE_CLIENT_IDS: z.optional(list(secret)),
  APP_STORE_API_URL: z.prefault(secureUrl, defaults.APP_STORE_API_URL),
  APP_STORE_SANDBOX_API_URL: z.prefault(secureUrl, defaults.APP_STORE_SANDBOX_API_URL),
  APNS_URL: z.prefault(secureUrl, defaults.APNS_URL),
  APNS_SANDBOX_URL: z.prefault(secureUrl, defaults.APNS_SANDBOX_URL),
  APP_STORE_ROOT_CERTIFICATE: z.optional(
    text.check(z.regex(/^[A-Za-z0-9+/]+={0,2}$/, "must be a certificate in DER and base64")),
  ),
  SIMULATED_WEB: z.optional(json(
    z.strictObject({ dns_port: z.int(), https_port: z.int(), certificate: z.string() }, simulatedWebMessage),
    simulatedWebMessage,
  )),
  PUBLIC_FUNCTIONS_URL: z.optional(url),
  JWT_ISSUER: z.optional(text),
  CLIENT_ADDRESS_HEADER: z.prefault(
    text.check(z.regex(/^[\w-]+$/, "must be a header's name"), z.toLowerCase()),
    defaults.CLIENT_ADDRESS_HEADER,
  ),
  CORS_ALLOW_ORIGIN: z.prefault(origins, defaults.CORS_ALLOW_ORIGIN),
  ADMIN_ASSURANCE_LEVEL: z.prefault(
    z.enum(["aal1", "aal2"], "must be aal1 or aal2"),
    defaults.ADMIN_ASSURANCE_LEVEL,
  ),
  REQUIRE_APP_TRANSACTION: z.prefault(
    z.enum(["true", "false"], "must be true or false"),
    defaults.REQUIRE_APP_TRANSACTION,
  ),
  METRICS_INTERVAL_SECONDS: z.prefault(
    z.pipe(text.check(z.regex(/^([0-9]|10)$/, "must be a number from 0 to 10")), z.transform(Number)),
    defaults.METRICS_INTERVAL_SECONDS,
  ),
  ENVIRONMENT: z.prefault(
    z.enum(environments, `must be one of ${environments.join(", ")}`),
    defaults.ENVIRONMENT,
  ),
  DENO_DEPLOYMENT_ID: z.prefault(text, defaults.DENO_DEPLOYMENT_ID),
  LOG_LEVEL: z.prefault(z.enum(logLevels, `must be one of ${logLevels.join(", ")}`), defaults.LOG_LEVEL),
});

/** Variables that one feature needs alone: where one of them is bad, that feature is off, and nothing else. */
export const features = {
  webhooks: ["WEBHOOK_SECRET"],
  // Where the proxy's address is bad nothing is sent around it.
  outboundWebhooks: ["OUTBOUND_WEBHOOK_KEY", "WEBHOOK_PROXY_URL"],
  worker: ["WORKER_KEY"],
  metrics: ["METRICS_TOKEN"],
  fal: ["FAL_KEY", "FAL_ACCOUNT_ID", "FAL_QUEUE_URL", "FAL_API_URL", "FAL_JWKS_URL", "FAL_RESULT_HOSTS"],
  replicate: [
    "REPLICATE_API_TOKEN",
    "REPLICATE_WEBHOOK_SECRET",
    "REPLICATE_API_URL",
    "REPLICATE_RESULT_HOSTS",
  ],
  runway: ["RUNWAY_API_SECRET", "RUNWAY_API_URL", "RUNWAY_RESULT_HOSTS"],
  openai: ["OPENAI_API_KEY", "OPENAI_API_URL"],
  apple: [
    ...["APPLE_TEAM_ID", "APPLE_DEVICE_CHECK_KEY_ID", "APPLE_DEVICE_CHECK_PRIVATE_KEY"] as const,
    "APPLE_DEVICE_CHECK_URL",
  ],
  appleSignIn: ["APPLE_SIGN_IN_KEY_ID", "APPLE_SIGN_IN_PRIVATE_KEY"],
  appleIdentity: ["APPLE_ID_URL", "APPLE_CLIENT_IDS"],
  appStore: [
    ...["APP_STORE_BUNDLE_ID", "APP_STORE_APP_ID", "APP_STORE_ROOT_CERTIFICATE"] as const,
  ],
  appStoreApi: [
    ...["APP_STORE_ISSUER_ID", "APP_STORE_KEY_ID", "APP_STORE_PRIVATE_KEY"] as const,
    ...["APP_STORE_API_URL", "APP_STORE_SANDBOX_API_URL"] as const,
  ],
  apns: ["APNS_TEAM_ID", "APNS_KEY_ID", "APNS_KEY", "APNS_TOPIC", "APNS_URL", "APNS_SANDBOX_URL"],
  // Without it there is the web itself.
  simulatedWeb: ["SIMULATED_WEB"],
} as const satisfies Record<string, readonly (keyof typeof environmentSchema.shape)[]>;

export type Feature = keyof typeof features;

/** Variables that would let a hosted project believe what nobody outside has said. */
export const localOnly = [
  "APP_STORE_ROOT_CERTIFICATE",
  "SIMULATED_WEB",
] as const satisfies (keyof typeof environmentSchema.shape)[];

/** Whether the project is on its developer's own machine, by what the environment calls itself and by where its API is. */
export function isLocalProject(environment: string, supabaseUrl: string): boolean {
  return ["local", "test"].includes(environment) && isLoopback(supabaseUrl);
}
