/**
 * The environment, read and validated once. The only file under supabase/functions that may use Deno.env.
 */
import {
  defaults,
  environments,
  environmentSchema,
  type Feature,
  features,
  isLocalProject,
  localOnly,
  secrets,
} from "./config-schema.ts";
import type { LogLevel } from "./logger.ts";

export { defaults };

export interface Config {
  readonly environment: Environment;
  readonly logLevel: LogLevel;
  readonly supabase: SupabaseConfig;
  /** Base of the URLs that providers call back, without a slash at its end. */
  readonly publicFunctionsUrl: string;
  /** How long an isolate keeps what it has counted before it tells the database. */
  readonly metricsIntervalSeconds: number;
  /** Key of the HMAC in webhook URLs; null where no webhook can be made or believed. */
  readonly webhookSecret: string | null;
  readonly webhooks: OutboundWebhooksConfig;
  readonly fal: FalConfig | null;
  readonly replicate: ReplicateConfig | null;
  readonly runway: RunwayConfig | null;
  readonly openai: OpenAiConfig | null;
  readonly apple: AppleConfig | null;
  /** Telling Apple that a person has left; null where it is not told. */
  readonly appleSignIn: AppleSignInConfig | null;
  /** What Apple's word about an identity must be to be believed; null where nothing says which apps are ours. */
  readonly appleIdentity: AppleIdentityConfiguration | null;
  /** What signed data of the App Store must be to be believed; null where no purchase can be. */
  readonly appStore: AppStoreConfiguration | null;
  /** Asking Apple about purchases; null where they are believed by their signature alone. */
  readonly appStoreApi: AppStoreApiConfiguration | null;
  /** In a local project alone: what answers for the names that nobody can own; null for the web itself. */
  readonly apns: ApnsConfig | null;
  readonly simulatedWeb: SimulatedWebConfig | null;
  /** The header, in lower case, in which the platform tells the client's address. */
  readonly clientAddressHeader: string;
  readonly corsAllowOrigin: "*" | readonly string[];
  /** Whether a device's credits are granted only with StoreKit's AppTransaction. */
  readonly requiresAppTransaction: boolean;
  /** Of what is deployed: the platform's name for it. */
  readonly version: string;
  /** Secrets that are absent, whose features are off. Logged once, when the isolate starts. */
  readonly missing: readonly string[];
  /** Features that are off because a variable of theirs is bad, and what is wrong with which; without a value. */
  readonly broken: Readonly<Partial<Record<Feature, readonly string[]>>>;
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
  /** What opens `metrics`, and nothing else; null where only a secret key does. */
  readonly metricsToken: string | null;
}

/** Telling other servers. */
export interface OutboundWebhooksConfig {
  /** What their secrets are sealed with, in base64; null where none can be told. */
  readonly key: string | null;
  readonly proxyUrl: string | null;
  /** Whether one may be on this machine, without TLS: only in a local project. */
  readonly mayBeLocal: boolean;
}

export interface FalConfig {
  readonly key: string;
  /** The `X-Fal-Webhook-User-Id` that is ours. */
  readonly accountId: string;
  readonly queueUrl: string;
  /** Of its Platform APIs. */
  readonly apiUrl: string;
  readonly jwksUrl: string;
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

export interface SimulatedWebConfig {
  readonly dnsPort: number;
  readonly httpsPort: number;
  /** In PEM: whose certificates are believed there. */
  readonly certificate: string;
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

export interface AppleSignInConfig {
  readonly url: string;
  readonly teamId: string;
  /** The app's bundle id. */
  readonly clientId: string;
  readonly keyId: string;
  /** PKCS#8 in PEM. */
  readonly privateKey: string;
}

export interface AppleIdentityConfiguration {
  /** Where Apple publishes the keys that it signs with. */
  readonly jwksUrl: string;
  /** Audiences that are ours: bundle ids of apps, ids of services. */
  readonly clientIds: readonly string[];
}

export interface AppStoreConfiguration {
  readonly bundleId: string;
  /** The app's "Apple ID" in App Store Connect, which production data names. */
  readonly appAppleId: number;
  /** What a chain of certificates must lead to, in DER and base64: on this machine the simulator's; null for Apple's own. */
  readonly rootCertificate: string | null;
  /** Whether data that Xcode signed on its developer's machine counts: only in a local project. */
  readonly acceptsUnsigned: boolean;
}

export interface AppStoreApiConfiguration {
  readonly bundleId: string;
  readonly issuerId: string;
  readonly keyId: string;
  /** PKCS#8 in PEM. */
  readonly privateKey: string;
  readonly urls: { readonly production: string; readonly sandbox: string };
}

export interface ApnsConfig {
  readonly teamId: string;
  readonly keyId: string;
  /** PKCS#8 in PEM. */
  readonly privateKey: string;
  /** The app's bundle id. */
  readonly topic: string;
  readonly urls: { readonly production: string; readonly sandbox: string };
}

export type Environment = (typeof environments)[number];

export type EnvironmentVariables = Readonly<Record<string, string | undefined>>;

/** Every fault of the environment, by name; values are never repeated. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  constructor(readonly faults: readonly string[]) {
    super(`Invalid environment: ${faults.join("; ")}`);
  }
}

/** The names of all variables that are read; config-variables.ts says what each is for. */
export type VariableName = keyof typeof environmentSchema.shape;

/**
 * The configuration that an environment describes; an empty variable counts as absent. Throws one ConfigError
 * with all faults, where one of them is in what every endpoint needs. The sections of the providers and Apple are null
 * unless they are complete: what does not need them works without them.
 */
export function loadConfig(environment: EnvironmentVariables): Config {
  // White space at the ends is nobody's intention: a terminal or a file has put it there.
  const trimmed = Object.entries(environment).map(([name, value = ""]) => [name, value.trim()]);
  const present: EnvironmentVariables = Object.fromEntries(trimmed.filter(([, value]) => value !== ""));
  const faults = faultsIn(present);
  const broken: Partial<Record<string, readonly string[]>> = {};
  for (const [feature, names] of Object.entries(features)) {
    const theirs = names.flatMap((name) => faults.get(name) ?? []);
    if (theirs.length > 0) broken[feature] = theirs;
  }
  const off = new Set<string>(
    Object.entries(features).flatMap(([feature, names]) => feature in broken ? names : []),
  );
  if ([...faults.keys()].some((name) => !off.has(name))) throw new ConfigError([...faults.values()]);

  const values = environmentSchema.parse(
    Object.fromEntries(Object.entries(present).filter(([name]) => !off.has(name))),
  );
  // The app itself is a client of Apple's; others are named where there are any.
  const clientIds = values.APPLE_CLIENT_IDS ??
    (values.APP_STORE_BUNDLE_ID ? [values.APP_STORE_BUNDLE_ID] : []);
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
      metricsToken: values.METRICS_TOKEN ?? null,
    },
    requiresAppTransaction: values.REQUIRE_APP_TRANSACTION === "true",
    publicFunctionsUrl: values.PUBLIC_FUNCTIONS_URL ?? `${values.SUPABASE_URL}/functions/v1`,
    metricsIntervalSeconds: values.METRICS_INTERVAL_SECONDS,
    webhookSecret: values.WEBHOOK_SECRET ?? null,
    webhooks: {
      key: values.OUTBOUND_WEBHOOK_KEY ?? null,
      proxyUrl: values.WEBHOOK_PROXY_URL ?? null,
      mayBeLocal: isLocalProject(values.ENVIRONMENT, values.SUPABASE_URL),
    },
    fal: values.FAL_KEY && values.FAL_ACCOUNT_ID
      ? {
        key: values.FAL_KEY,
        accountId: values.FAL_ACCOUNT_ID,
        queueUrl: values.FAL_QUEUE_URL,
        apiUrl: values.FAL_API_URL,
        jwksUrl: values.FAL_JWKS_URL,
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
    appleSignIn: values.APPLE_TEAM_ID && values.APP_STORE_BUNDLE_ID && values.APPLE_SIGN_IN_KEY_ID &&
        values.APPLE_SIGN_IN_PRIVATE_KEY && !("appleIdentity" in broken)
      ? {
        url: values.APPLE_ID_URL,
        teamId: values.APPLE_TEAM_ID,
        clientId: values.APP_STORE_BUNDLE_ID,
        keyId: values.APPLE_SIGN_IN_KEY_ID,
        privateKey: values.APPLE_SIGN_IN_PRIVATE_KEY,
      }
      : null,
    appleIdentity: clientIds.length > 0 && !("appleIdentity" in broken)
      ? { jwksUrl: `${values.APPLE_ID_URL}/auth/keys`, clientIds }
      : null,
    appStore: values.APP_STORE_BUNDLE_ID && values.APP_STORE_APP_ID
      ? {
        bundleId: values.APP_STORE_BUNDLE_ID,
        appAppleId: values.APP_STORE_APP_ID,
        rootCertificate: values.APP_STORE_ROOT_CERTIFICATE ?? null,
        acceptsUnsigned: isLocalProject(values.ENVIRONMENT, values.SUPABASE_URL),
      }
      : null,
    appStoreApi: values.APP_STORE_BUNDLE_ID && values.APP_STORE_ISSUER_ID && values.APP_STORE_KEY_ID &&
        values.APP_STORE_PRIVATE_KEY
      ? {
        bundleId: values.APP_STORE_BUNDLE_ID,
        issuerId: values.APP_STORE_ISSUER_ID,
        keyId: values.APP_STORE_KEY_ID,
        privateKey: values.APP_STORE_PRIVATE_KEY,
        urls: { production: values.APP_STORE_API_URL, sandbox: values.APP_STORE_SANDBOX_API_URL },
      }
      : null,
    apns: values.APNS_TEAM_ID && values.APNS_KEY_ID && values.APNS_KEY && values.APNS_TOPIC
      ? {
        teamId: values.APNS_TEAM_ID,
        keyId: values.APNS_KEY_ID,
        privateKey: values.APNS_KEY,
        topic: values.APNS_TOPIC,
        urls: { production: values.APNS_URL, sandbox: values.APNS_SANDBOX_URL },
      }
      : null,
    simulatedWeb: values.SIMULATED_WEB
      ? {
        dnsPort: values.SIMULATED_WEB.dns_port,
        httpsPort: values.SIMULATED_WEB.https_port,
        certificate: values.SIMULATED_WEB.certificate,
      }
      : null,
    clientAddressHeader: values.CLIENT_ADDRESS_HEADER,
    corsAllowOrigin: values.CORS_ALLOW_ORIGIN,
    version: values.DENO_DEPLOYMENT_ID,
    missing: secrets.filter((name) => present[name] === undefined),
    broken,
  };
}

/** What is wrong with each variable that is not as it must be, by its name. */
function faultsIn(present: EnvironmentVariables): Map<string, string> {
  const issues = environmentSchema.safeParse(present).error?.issues ?? [];
  // The first of a variable's faults is enough to find it.
  const faults = new Map(
    issues.toReversed().map(({ path, message }) => {
      const name = String(path[0]);
      return [name, `${name} ${Object.hasOwn(present, name) ? message : "is not set"}`];
    }),
  );
  const { ENVIRONMENT = defaults.ENVIRONMENT, SUPABASE_URL = "" } = present;
  for (const name of localOnly) {
    if (present[name] === undefined || isLocalProject(ENVIRONMENT, SUPABASE_URL)) continue;
    faults.set(name, `${name} must not be set outside a local project`);
  }
  return faults;
}

let loaded: Config | undefined;

/** The configuration of this isolate, read on first use. Throws ConfigError, each time, while it is invalid. */
export function config(): Config {
  const names = Object.keys(environmentSchema.shape);
  loaded ??= loadConfig(Object.fromEntries(names.map((name) => [name, Deno.env.get(name)])));
  return loaded;
}
