import type { LogLevel } from "./logger.ts";

export type Environment = "production" | "staging" | "local" | "test";

export interface Config {
  readonly environment: Environment;
  readonly logLevel: LogLevel;
  readonly supabase: SupabaseConfig;
  /** Base of the URLs that providers call back, without a slash at its end. */
  readonly publicFunctionsUrl: string;
  /** Key of the HMAC in webhook URLs; null where no webhook can be made or believed. */
  readonly webhookSecret: string | null;
  readonly fal: FalConfig | null;
  readonly apple: AppleConfig | null;
  /** The header, in lower case, in which the platform tells the client's address. */
  readonly clientAddressHeader: string;
  readonly corsAllowOrigin: "*" | readonly string[];
}

export interface SupabaseConfig {
  /** Without a slash at its end. */
  readonly url: string;
  readonly publishableKeys: Readonly<Record<string, string>>;
  readonly secretKeys: Readonly<Record<string, string>>;
  readonly jwks: { readonly keys: readonly JsonWebKey[] };
  readonly jwtIssuer: string;
}

export interface FalConfig {
  readonly key: string;
  /** The `X-Fal-Webhook-User-Id` that is ours. */
  readonly accountId: string;
  readonly queueUrl: string;
  readonly jwksUrls: readonly string[];
  readonly resultHosts: readonly string[];
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
