import { type Config, type EnvironmentVariables, loadConfig } from "../platform/config.ts";
import { projectUrl, publishableKey, secretKey } from "./tokens.ts";

/** A JWKS that knows no real key, for tests that verify no token. */
const someJwks = JSON.stringify({ keys: [{ kty: "oct", kid: "none", alg: "HS256", k: "bm90LWEtc2VjcmV0" }] });

/** The least environment that an endpoint starts with. */
export const testEnvironment: EnvironmentVariables = {
  SUPABASE_URL: projectUrl,
  SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: publishableKey }),
  SUPABASE_SECRET_KEYS: JSON.stringify({ default: secretKey }),
  SUPABASE_JWKS: someJwks,
  ENVIRONMENT: "test",
};

export function testConfig(environment: EnvironmentVariables = {}): Config {
  return loadConfig({ ...testEnvironment, ...environment });
}
