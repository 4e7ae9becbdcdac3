/**
 * The environment, read and validated once. The only file under supabase/functions that may use Deno.env.
 */
import * as z from "zod/mini";
import { type LogLevel, logLevels } from "./logger.ts";

export interface Config {
  readonly environment: Environment;
  readonly logLevel: LogLevel;
  readonly supabase: SupabaseConfig;
  /** Base of the URLs that providers call back, without a slash at its end. */
  readonly publicFunctionsUrl: string;
  /** Key of the HMAC in webhook URLs; null where no webhook can be made or believed. */
  readonly webhookSecret: string | null;
  readonly fal: FalConfig | null;
  readonly replicate: ReplicateConfig | null;
  readonly runway: RunwayConfig | null;
  readonly openai: OpenAiConfig | null;
  readonly apple: AppleConfig | null;
  /** The header, in lower case, in which the platform tells the client's address. */
  readonly clientAddressHeader: string;
  readonly corsAllowOrigin: "*" | readonly string[];
  /** Of what is deployed: the platform's name for it. */
  readonly version: string;
  /** Secrets that are absent, whose features are off. Logged once, when the isolate starts. */
  readonly missing: readonly string[];
}

export interface SupabaseConfig {
  /** Without a slash at its end. */
  readonly url: string;
  readonly publishableKeys: Record<string, string>;
  readonly secretKeys: Record<string, string>;
  readonly jwks: { keys: { kty: string; kid: string }[] };
  readonly jwtIssuer: string;
  /** What the token of an admin must say; `aal1` only where nobody can have a second factor. */
  readonly adminAssuranceLevel: "aal1" | "aal2";
  /** What the database wakes the worker with; null where only a secret key does. */
  readonly workerKey: string | null;
}

export interface FalConfig {
  readonly key: string;
  /** The `X-Fal-Webhook-User-Id` that is ours. */
  readonly accountId: string;
  readonly queueUrl: string;
  readonly jwksUrls: readonly string[];
  /** Exact names, or `*.` and a suffix. */
  readonly resultHosts: readonly string[];
}

export interface ReplicateConfig {
  readonly token: string;
  /** Of Standard Webhooks: `whsec_` and the key in base64. */
  readonly webhookSecret: string;
  readonly apiUrl: string;
  /** Exact names, or `*.` and a suffix. */
  readonly resultHosts: readonly string[];
}

export interface RunwayConfig {
  readonly secret: string;
  readonly apiUrl: string;
  /** Exact names, or `*.` and a suffix. */
  readonly resultHosts: readonly string[];
}

export interface OpenAiConfig {
  readonly key: string;
  readonly apiUrl: string;
}

export interface AppleConfig {
  readonly teamId: string;
  readonly deviceCheck: {
    readonly url: string;
    readonly keyId: string;
    /** PKCS#8 in PEM. */
    readonly privateKey: string;
  };
}

const environments = ["production", "staging", "local", "test"] as const;
export type Environment = (typeof environments)[number];

/** The values of optional variables that are not set. */
export const defaults = {
  FAL_QUEUE_URL: "https://queue.fal.run",
  FAL_JWKS_URLS: "https://rest.fal.ai/.well-known/jwks.json,https://rest.alpha.fal.ai/.well-known/jwks.json",
  FAL_RESULT_HOSTS: "fal.media,*.fal.media",
  REPLICATE_API_URL: "https://api.replicate.com",
  REPLICATE_RESULT_HOSTS: "replicate.delivery,*.replicate.delivery",
  RUNWAY_API_URL: "https://api.dev.runwayml.com",
  // Runway's own distribution: a name below cloudfront.net is for anybody to have.
  RUNWAY_RESULT_HOSTS: "dnznrvs05pmza.cloudfront.net",
  OPENAI_API_URL: "https://api.openai.com",
  APPLE_DEVICE_CHECK_URL: "https://api.devicecheck.apple.com",
  CLIENT_ADDRESS_HEADER: "cf-connecting-ip",
  CORS_ALLOW_ORIGIN: "*",
  ADMIN_ASSURANCE_LEVEL: "aal2",
  ENVIRONMENT: "production",
  LOG_LEVEL: "info",
  DENO_DEPLOYMENT_ID: "local",
} as const;

/** What the operator sets. A feature whose secrets are absent is off, and the rest works. */
const secrets = [
  "WEBHOOK_SECRET",
  "WORKER_KEY",
  "FAL_KEY",
  "FAL_ACCOUNT_ID",
  "REPLICATE_API_TOKEN",
  "REPLICATE_WEBHOOK_SECRET",
  "RUNWAY_API_SECRET",
  "OPENAI_API_KEY",
  "APPLE_TEAM_ID",
  "APPLE_DEVICE_CHECK_KEY_ID",
  "APPLE_DEVICE_CHECK_PRIVATE_KEY",
] as const;

export type EnvironmentVariables = Readonly<Record<string, string | undefined>>;

/** Every fault of the environment, by name; values are never repeated. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  constructor(readonly faults: readonly string[]) {
    super(`Invalid environment: ${faults.join("; ")}`);
  }
}

const text = z.string();

function parseUrl(value: string): URL | null {
  return URL.canParse(value) ? new URL(value) : null;
}

const withoutSlash = (value: string) => value.replace(/\/+$/, "");

const url = z.pipe(
  text.check(
    z.refine((value) => ["http:", "https:"].includes(parseUrl(value)?.protocol ?? ""), "must be a URL"),
  ),
  z.transform(withoutSlash),
);

/** Keys and prompts go there: in clear text only to this machine, where the simulators are. */
const secureUrl = url.check(z.refine((value) => {
  const parsed = parseUrl(value);
  return parsed?.protocol === "https:" ||
    ["localhost", "127.0.0.1", "[::1]"].includes(parsed?.hostname ?? "");
}, "must be an https URL"));

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
    z.record(z.string(), z.string().check(z.startsWith(prefix, message)), message)
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

const environmentSchema = z.object({
  SUPABASE_URL: url,
  SUPABASE_PUBLISHABLE_KEYS: namedKeys("sb_publishable_"),
  SUPABASE_SECRET_KEYS: namedKeys("sb_secret_"),
  SUPABASE_JWKS: jwks,
  WEBHOOK_SECRET: z.optional(text.check(z.minLength(32, "must have 32 characters or more"))),
  WORKER_KEY: z.optional(text.check(z.minLength(32, "must have 32 characters or more"))),
  FAL_KEY: z.optional(text),
  FAL_ACCOUNT_ID: z.optional(text),
  REPLICATE_API_TOKEN: z.optional(text),
  REPLICATE_WEBHOOK_SECRET: z.optional(standardWebhookSecret),
  RUNWAY_API_SECRET: z.optional(text),
  OPENAI_API_KEY: z.optional(text),
  APPLE_TEAM_ID: z.optional(text),
  APPLE_DEVICE_CHECK_KEY_ID: z.optional(text),
  APPLE_DEVICE_CHECK_PRIVATE_KEY: z.optional(pem),
  FAL_QUEUE_URL: z.prefault(secureUrl, defaults.FAL_QUEUE_URL),
  FAL_JWKS_URLS: z.prefault(list(secureUrl), defaults.FAL_JWKS_URLS),
  FAL_RESULT_HOSTS: z.prefault(list(host), defaults.FAL_RESULT_HOSTS),
  REPLICATE_API_URL: z.prefault(secureUrl, defaults.REPLICATE_API_URL),
  REPLICATE_RESULT_HOSTS: z.prefault(list(host), defaults.REPLICATE_RESULT_HOSTS),
  RUNWAY_API_URL: z.prefault(secureUrl, defaults.RUNWAY_API_URL),
  RUNWAY_RESULT_HOSTS: z.prefault(list(host), defaults.RUNWAY_RESULT_HOSTS),
  OPENAI_API_URL: z.prefault(secureUrl, defaults.OPENAI_API_URL),
  APPLE_DEVICE_CHECK_URL: z.prefault(secureUrl, defaults.APPLE_DEVICE_CHECK_URL),
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
  ENVIRONMENT: z.prefault(
    z.enum(environments, `must be one of ${environments.join(", ")}`),
    defaults.ENVIRONMENT,
  ),
  DENO_DEPLOYMENT_ID: z.prefault(text, defaults.DENO_DEPLOYMENT_ID),
  LOG_LEVEL: z.prefault(z.enum(logLevels, `must be one of ${logLevels.join(", ")}`), defaults.LOG_LEVEL),
});

/** The names of all variables that are read; config-variables.ts says what each is for. */
export type VariableName = keyof typeof environmentSchema.shape;

/**
 * The configuration that an environment describes; an empty variable counts as absent. Throws one ConfigError
 * with all faults. The sections of the providers and Apple are null unless they are complete: what does not need them
 * works without them.
 */
export function loadConfig(environment: EnvironmentVariables): Config {
  const present = Object.fromEntries(Object.entries(environment).filter(([, value]) => value?.trim()));
  const parsed = environmentSchema.safeParse(present);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => {
      const name = String(path[0]);
      return `${name} ${Object.hasOwn(present, name) ? message : "is not set"}`;
    });
    throw new ConfigError([...new Set(faults)]);
  }
  const values = parsed.data;
  return {
    environment: values.ENVIRONMENT,
    logLevel: values.LOG_LEVEL,
    supabase: {
      url: values.SUPABASE_URL,
      publishableKeys: values.SUPABASE_PUBLISHABLE_KEYS,
      secretKeys: values.SUPABASE_SECRET_KEYS,
      jwks: values.SUPABASE_JWKS,
      jwtIssuer: values.JWT_ISSUER ?? `${values.SUPABASE_URL}/auth/v1`,
      adminAssuranceLevel: values.ADMIN_ASSURANCE_LEVEL,
      workerKey: values.WORKER_KEY ?? null,
    },
    publicFunctionsUrl: values.PUBLIC_FUNCTIONS_URL ?? `${values.SUPABASE_URL}/functions/v1`,
    webhookSecret: values.WEBHOOK_SECRET ?? null,
    fal: values.FAL_KEY && values.FAL_ACCOUNT_ID
      ? {
        key: values.FAL_KEY,
        accountId: values.FAL_ACCOUNT_ID,
        queueUrl: values.FAL_QUEUE_URL,
        jwksUrls: values.FAL_JWKS_URLS,
        resultHosts: values.FAL_RESULT_HOSTS,
      }
      : null,
    replicate: values.REPLICATE_API_TOKEN && values.REPLICATE_WEBHOOK_SECRET
      ? {
        token: values.REPLICATE_API_TOKEN,
        webhookSecret: values.REPLICATE_WEBHOOK_SECRET,
        apiUrl: values.REPLICATE_API_URL,
        resultHosts: values.REPLICATE_RESULT_HOSTS,
      }
      : null,
    runway: values.RUNWAY_API_SECRET
      ? {
        secret: values.RUNWAY_API_SECRET,
        apiUrl: values.RUNWAY_API_URL,
        resultHosts: values.RUNWAY_RESULT_HOSTS,
      }
      : null,
    openai: values.OPENAI_API_KEY ? { key: values.OPENAI_API_KEY, apiUrl: values.OPENAI_API_URL } : null,
    apple: values.APPLE_TEAM_ID && values.APPLE_DEVICE_CHECK_KEY_ID && values.APPLE_DEVICE_CHECK_PRIVATE_KEY
      ? {
        teamId: values.APPLE_TEAM_ID,
        deviceCheck: {
          url: values.APPLE_DEVICE_CHECK_URL,
          keyId: values.APPLE_DEVICE_CHECK_KEY_ID,
          privateKey: values.APPLE_DEVICE_CHECK_PRIVATE_KEY,
        },
      }
      : null,
    clientAddressHeader: values.CLIENT_ADDRESS_HEADER,
    corsAllowOrigin: values.CORS_ALLOW_ORIGIN,
    version: values.DENO_DEPLOYMENT_ID,
    missing: secrets.filter((name) => values[name] === undefined),
  };
}

let loaded: Config | undefined;

/** The configuration of this isolate, read on first use. Throws ConfigError, each time, while it is invalid. */
export function config(): Config {
  const names = Object.keys(environmentSchema.shape);
  loaded ??= loadConfig(Object.fromEntries(names.map((name) => [name, Deno.env.get(name)])));
  return loaded;
}
