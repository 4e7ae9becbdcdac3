import assert from "node:assert/strict";
import { type Config, ConfigError, defaults, type EnvironmentVariables, loadConfig } from "./config.ts";
import { features } from "./config-schema.ts";
import { variables } from "./config-variables.ts";
import { testEnvironment } from "../testing/config.ts";

const fal = { FAL_KEY: "id:secret", FAL_ACCOUNT_ID: "account" };
const replicate = {
  REPLICATE_API_TOKEN: "r8_token",
  REPLICATE_WEBHOOK_SECRET: `whsec_${"a".repeat(43)}=`,
};
const runway = { RUNWAY_API_SECRET: "key_secret" };
const openai = { OPENAI_API_KEY: "sk-key" };
const apple = {
  APPLE_TEAM_ID: "TEAM123456",
  APPLE_DEVICE_CHECK_KEY_ID: "KEY1234567",
  APPLE_DEVICE_CHECK_PRIVATE_KEY: "-----BEGIN PRIVATE KEY-----\\nMIGHAgEA\\n-----END PRIVATE KEY-----",
};

const appStore = {
  APP_STORE_BUNDLE_ID: "com.example.kinora",
  APP_STORE_APP_ID: "1234567890",
};
const appStoreApi = {
  APP_STORE_ISSUER_ID: "57246542-96fe-1a63-e053-0824d011072a",
  APP_STORE_KEY_ID: "KEY1234567",
  APP_STORE_PRIVATE_KEY: apple.APPLE_DEVICE_CHECK_PRIVATE_KEY,
};

const appleSignIn = {
  APPLE_SIGN_IN_KEY_ID: "KEY1234567",
  APPLE_SIGN_IN_PRIVATE_KEY: apple.APPLE_DEVICE_CHECK_PRIVATE_KEY,
};

const apns = {
  APNS_TEAM_ID: "TEAM123456",
  APNS_KEY_ID: "KEY1234567",
  APNS_KEY: apple.APPLE_DEVICE_CHECK_PRIVATE_KEY,
  APNS_TOPIC: "com.example.kinora",
};

const complete: EnvironmentVariables = {
  ...testEnvironment,
  ...fal,
  ...replicate,
  ...runway,
  ...openai,
  ...apple,
  ...appStore,
  ...appStoreApi,
  ...appleSignIn,
  ...apns,
  WEBHOOK_SECRET: "w".repeat(32),
  OUTBOUND_WEBHOOK_KEY: `${"o".repeat(43)}=`,
  WORKER_KEY: "k".repeat(32),
  METRICS_TOKEN: "m".repeat(32),
};

Deno.test("the least environment gives the defaults, with what is not set left out", () => {
  const { ENVIRONMENT: _, ...least } = testEnvironment;
  const config = loadConfig({ ...least, SUPABASE_URL: "https://project.example.com/" });
  assert.equal(config.environment, "production");
  assert.equal(config.logLevel, "info");
  assert.equal(config.supabase.url, "https://project.example.com");
  assert.equal(config.supabase.jwtIssuer, "https://project.example.com/auth/v1");
  assert.equal(config.publicFunctionsUrl, "https://project.example.com/functions/v1");
  assert.equal(config.clientAddressHeader, "cf-connecting-ip");
  assert.equal(config.corsAllowOrigin, "*");
  assert.equal(config.supabase.adminAssuranceLevel, "aal2");
  assert.deepEqual([config.fal, config.replicate, config.runway], [null, null, null]);
  assert.deepEqual([config.openai, config.apple, config.webhookSecret], [null, null, null]);
  assert.deepEqual(
    config.missing,
    Object.entries(variables).filter(([, { kind }]) => kind === "secret").map(([name]) => name),
  );
});

Deno.test("complete sections are there, with the providers' real addresses", () => {
  const config = loadConfig(complete);
  assert.equal(config.fal?.queueUrl, "https://queue.fal.run");
  assert.equal(config.fal?.jwksUrl, "https://rest.fal.ai/.well-known/jwks.json");
  assert.equal(config.replicate?.apiUrl, "https://api.replicate.com");
  assert.equal(config.runway?.apiUrl, "https://api.dev.runwayml.com");
  // Anybody can have a name below cloudfront.net.
  assert.deepEqual(config.runway?.resultHosts, ["dnznrvs05pmza.cloudfront.net"]);
  assert.deepEqual(config.openai, { key: "sk-key", apiUrl: "https://api.openai.com" });
  assert.equal(config.apple?.deviceCheck.url, "https://api.devicecheck.apple.com");
  assert.equal(config.apple?.deviceCheck.privateKey.split("\n").length, 3, "line breaks written as \\n");
  assert.equal(config.appleSignIn?.url, "https://appleid.apple.com");
  assert.deepEqual(config.apns?.urls, {
    production: "https://api.push.apple.com",
    sandbox: "https://api.sandbox.push.apple.com",
  });
  assert.equal(config.appleSignIn?.clientId, "com.example.kinora", "the app's bundle id");
  assert.deepEqual(config.missing, []);
});

Deno.test("the App Store is Apple's, and its API need not be asked", () => {
  const { appStore, appStoreApi } = loadConfig({ ...complete, SUPABASE_URL: "https://project.example.com" });
  assert.deepEqual(appStore, {
    bundleId: "com.example.kinora",
    appAppleId: 1234567890,
    rootCertificate: null,
    acceptsUnsigned: false,
  });
  assert.equal(appStoreApi?.bundleId, "com.example.kinora");
  assert.deepEqual(appStoreApi?.urls, {
    production: "https://api.storekit.apple.com",
    sandbox: "https://api.storekit-sandbox.apple.com",
  });
  const { APP_STORE_KEY_ID: _, ...withoutKey } = complete;
  assert.equal(loadConfig(withoutKey).appStoreApi, null);
  assert.notEqual(loadConfig(withoutKey).appStore, null, "purchases are believed by their signature alone");
});

Deno.test("only a local project believes another root than Apple's, or what nobody signed", () => {
  const root = { APP_STORE_ROOT_CERTIFICATE: "MIIBgjCC" };
  for (const SUPABASE_URL of ["http://127.0.0.1:54321", "http://localhost:54321", "http://[::1]:54321"]) {
    for (const ENVIRONMENT of ["local", "test"]) {
      const { appStore } = loadConfig({ ...complete, ...root, ENVIRONMENT, SUPABASE_URL });
      assert.equal(appStore?.rootCertificate, "MIIBgjCC");
      assert.equal(appStore?.acceptsUnsigned, true);
    }
  }
  const hosted = [
    { ENVIRONMENT: "production", SUPABASE_URL: "http://127.0.0.1:54321" },
    { ENVIRONMENT: "staging", SUPABASE_URL: "http://127.0.0.1:54321" },
    { ENVIRONMENT: undefined, SUPABASE_URL: "http://127.0.0.1:54321" },
    { ENVIRONMENT: "local", SUPABASE_URL: "https://project.supabase.co" },
    { ENVIRONMENT: "test", SUPABASE_URL: "https://127.0.0.1.example.com" },
    { ENVIRONMENT: "local", SUPABASE_URL: "https://localhost@example.com" },
  ];
  for (const project of hosted) {
    assert.equal(
      loadConfig({ ...complete, ...project }).appStore?.acceptsUnsigned,
      false,
      JSON.stringify(project),
    );
    const config = loadConfig({ ...complete, ...root, ...project });
    assert.equal(config.appStore, null, JSON.stringify(project));
    assert.deepEqual(config.broken.appStore, [
      "APP_STORE_ROOT_CERTIFICATE must not be set outside a local project",
    ]);
  }
});

Deno.test("a simulated web is believed in a local project alone, and elsewhere it is the web", () => {
  const SIMULATED_WEB = JSON.stringify({ dns_port: 5300, https_port: 8443, certificate: "canary" });
  const local = { SUPABASE_URL: "http://127.0.0.1:54321", ENVIRONMENT: "local" };
  assert.deepEqual(loadConfig({ ...complete, ...local, SIMULATED_WEB }).simulatedWeb, {
    dnsPort: 5300,
    httpsPort: 8443,
    certificate: "canary",
  });
  for (const [project, value] of [[{}, SIMULATED_WEB], [local, "canary"]] as const) {
    const { simulatedWeb, broken } = loadConfig({ ...complete, ...project, SIMULATED_WEB: value });
    assert.equal(simulatedWeb, null);
    assert.deepEqual(Object.keys(broken), ["simulatedWeb"]);
    assert(!JSON.stringify(broken).includes("canary"));
  }
});

Deno.test("half a section is no section, and what is missing is named", () => {
  const config = loadConfig({
    ...testEnvironment,
    FAL_KEY: "id:secret",
    FAL_ACCOUNT_ID: "  ",
    REPLICATE_API_TOKEN: "r8_token",
  });
  assert.equal(config.fal, null);
  assert.equal(config.replicate, null);
  assert(config.missing.includes("REPLICATE_WEBHOOK_SECRET"));
  assert(config.missing.includes("FAL_ACCOUNT_ID"));
  assert(!config.missing.includes("FAL_KEY"));
});

Deno.test("lists and origins are read with their spaces", () => {
  const config = loadConfig({
    ...testEnvironment,
    ...fal,
    FAL_JWKS_URL: " http://127.0.0.1:9000/jwks.json ",
    FAL_RESULT_HOSTS: "127.0.0.1:9000, *.fal.media",
    CORS_ALLOW_ORIGIN: "https://app.example.com, http://localhost:3000",
    CLIENT_ADDRESS_HEADER: "X-Real-IP",
  });
  assert.equal(config.fal?.jwksUrl, "http://127.0.0.1:9000/jwks.json");
  assert.deepEqual(config.fal?.resultHosts, ["127.0.0.1:9000", "*.fal.media"]);
  assert.deepEqual(config.corsAllowOrigin, ["https://app.example.com", "http://localhost:3000"]);
  assert.equal(config.clientAddressHeader, "x-real-ip");
});

Deno.test("all faults are told at once, by name and without a value", () => {
  const secret = "canary-value";
  const faults: [string, string | undefined][] = [
    ["SUPABASE_URL", `ftp://${secret}`],
    ["SUPABASE_PUBLISHABLE_KEYS", undefined],
    ["SUPABASE_SECRET_KEYS", JSON.stringify({ default: secret })],
    ["SUPABASE_JWKS", `{"keys": [{"${secret}": 1}]}`],
    ["WEBHOOK_SECRET", secret],
    ["WORKER_KEY", secret],
    ["METRICS_TOKEN", secret],
    ["METRICS_INTERVAL_SECONDS", secret],
    ["REPLICATE_WEBHOOK_SECRET", secret],
    ["REPLICATE_API_URL", `http://${secret}.example.com`],
    ["OPENAI_API_URL", `http://${secret}.example.com`],
    ["RUNWAY_API_URL", `ftp://${secret}.example.com`],
    ["RUNWAY_RESULT_HOSTS", `https://${secret}`],
    ["APPLE_DEVICE_CHECK_PRIVATE_KEY", secret],
    ["APP_STORE_APP_ID", secret],
    ["APP_STORE_PRIVATE_KEY", secret],
    ["APP_STORE_API_URL", `http://${secret}.example.com`],
    ["APP_STORE_ROOT_CERTIFICATE", secret],
    ["SIMULATED_WEB", secret],
    ["FAL_QUEUE_URL", `http://${secret}.example.com`],
    ["FAL_JWKS_URL", secret],
    ["FAL_RESULT_HOSTS", `https://${secret}`],
    ["CLIENT_ADDRESS_HEADER", `x ${secret}`],
    ["CORS_ALLOW_ORIGIN", `https://${secret}.example.com/path`],
    ["ENVIRONMENT", secret],
    ["LOG_LEVEL", secret],
  ];
  assert.throws(() => loadConfig({ ...testEnvironment, ...Object.fromEntries(faults) }), (error) => {
    assert(error instanceof ConfigError);
    for (const [name] of faults) {
      assert.equal(
        error.faults.filter((fault) => fault.startsWith(`${name} `)).length,
        1,
        `${name}: ${error.message}`,
      );
    }
    assert.equal(error.faults.length, faults.length);
    assert(error.faults.includes("SUPABASE_PUBLISHABLE_KEYS is not set"));
    assert(!error.message.includes(secret), error.message);
    return true;
  });
});

interface BadFeature {
  /** Its section in the configuration. */
  off: (config: Config) => unknown;
  /** Values that are bad, by their variables. */
  values: Record<string, string>;
  /** Other features, without which it is off, too. */
  needs?: string[];
}

const bad: Record<string, BadFeature> = {
  webhooks: { off: ({ webhookSecret }) => webhookSecret, values: { WEBHOOK_SECRET: "canary" } },
  outboundWebhooks: {
    off: ({ webhooks }) => webhooks.key,
    values: { OUTBOUND_WEBHOOK_KEY: "canary", WEBHOOK_PROXY_URL: "https://canary.example.com" },
  },
  worker: { off: ({ supabase }) => supabase.workerKey, values: { WORKER_KEY: `canary ${"k".repeat(32)}` } },
  metrics: {
    off: ({ supabase }) => supabase.metricsToken,
    values: { METRICS_TOKEN: `canary ${"m".repeat(32)}` },
  },
  fal: {
    off: ({ fal }) => fal,
    values: {
      FAL_KEY: "canary:a b",
      FAL_ACCOUNT_ID: "canary\u200b",
      FAL_QUEUE_URL: "http://canary.example.com",
      FAL_JWKS_URL: "canary",
      FAL_RESULT_HOSTS: "https://canary",
    },
  },
  replicate: {
    off: ({ replicate }) => replicate,
    values: {
      REPLICATE_API_TOKEN: "canary\nX-Header: 1",
      REPLICATE_WEBHOOK_SECRET: "canary",
      REPLICATE_API_URL: "canary",
      REPLICATE_RESULT_HOSTS: "canary canary",
    },
  },
  runway: {
    off: ({ runway }) => runway,
    values: { RUNWAY_API_SECRET: "canaryé", RUNWAY_API_URL: "ftp://canary", RUNWAY_RESULT_HOSTS: "canary/x" },
  },
  openai: {
    off: ({ openai }) => openai,
    values: { OPENAI_API_KEY: "canary\tkey", OPENAI_API_URL: "http://canary.example.com" },
  },
  apple: {
    off: ({ apple }) => apple,
    values: {
      APPLE_TEAM_ID: "canary team",
      APPLE_DEVICE_CHECK_KEY_ID: "canary key",
      APPLE_DEVICE_CHECK_PRIVATE_KEY: "canary",
      APPLE_DEVICE_CHECK_URL: "canary",
    },
  },
  appleSignIn: {
    off: ({ appleSignIn }) => appleSignIn,
    values: {
      APPLE_SIGN_IN_KEY_ID: "canary key",
      APPLE_SIGN_IN_PRIVATE_KEY: "canary",
    },
    needs: ["apple", "appStore", "appleIdentity"],
  },
  appleIdentity: {
    off: ({ appleIdentity }) => appleIdentity,
    values: { APPLE_ID_URL: "http://canary.example.com", APPLE_CLIENT_IDS: "canary app" },
    needs: ["appStore"],
  },
  appStore: {
    off: ({ appStore }) => appStore,
    values: {
      APP_STORE_BUNDLE_ID: "canary app",
      APP_STORE_APP_ID: "canary",
      APP_STORE_ROOT_CERTIFICATE: "canary",
    },
  },
  appStoreApi: {
    off: ({ appStoreApi }) => appStoreApi,
    values: {
      APP_STORE_ISSUER_ID: "canary issuer",
      APP_STORE_KEY_ID: "canary key",
      APP_STORE_PRIVATE_KEY: "canary",
      APP_STORE_API_URL: "http://canary.example.com",
      APP_STORE_SANDBOX_API_URL: "canary",
    },
    needs: ["appStore"],
  },
  apns: {
    off: ({ apns }) => apns,
    values: {
      APNS_TEAM_ID: "canary team",
      APNS_KEY_ID: "canary key",
      APNS_KEY: "canary",
      APNS_TOPIC: "canary app",
      APNS_URL: "http://canary.example.com",
      APNS_SANDBOX_URL: "canary",
    },
  },
};

Deno.test("Apple's word about identities is believed for the app, or for the clients that are named instead", () => {
  const jwksUrl = "https://appleid.apple.com/auth/keys";
  assert.equal(loadConfig(testEnvironment).appleIdentity, null);
  assert.deepEqual(loadConfig(complete).appleIdentity, { jwksUrl, clientIds: ["com.example.kinora"] });
  const named = loadConfig({ ...testEnvironment, APPLE_CLIENT_IDS: " com.example.web, com.example.mac" });
  assert.deepEqual(named.appleIdentity, { jwksUrl, clientIds: ["com.example.web", "com.example.mac"] });
});

Deno.test("a variable that is bad switches off its feature alone, and is named without its value", () => {
  // The web that is simulated is no feature of a hosted project.
  assert.deepEqual([...Object.keys(bad), "simulatedWeb"], Object.keys(features));
  for (const [feature, { off, values }] of Object.entries(bad)) {
    for (const [name, value] of Object.entries(values)) {
      const config = loadConfig({ ...complete, [name]: value });
      assert.equal(off(config), null, name);
      const [[broken, faults = []] = []] = Object.entries(config.broken);
      assert.equal(broken, feature);
      assert.equal(faults.length, 1);
      assert.match(faults[0] ?? "", new RegExp(`^${name} must `));
      assert(!JSON.stringify(config.broken).includes("canary"), name);
      assert.deepEqual(config.missing, [], "it is there");
      for (const [other, { off, needs }] of Object.entries(bad)) {
        if (other !== feature && !needs?.includes(feature)) {
          assert.notEqual(off(config), null, `${other} works without ${name}`);
        }
      }
    }
  }
  assert.deepEqual(Object.keys(loadConfig({ ...complete, FAL_KEY: "a b", WORKER_KEY: "short" }).broken), [
    "worker",
    "fal",
  ]);
});

Deno.test("white space at the ends of a variable changes nothing, whichever it is", () => {
  const expected = loadConfig(complete);
  for (const name of Object.keys(variables)) {
    const value = complete[name] ?? defaults[name as keyof typeof defaults];
    if (value === undefined) continue;
    for (const space of ["\n", "\r\n", " ", "\t", "\ufeff"]) {
      const config = loadConfig({ ...complete, [name]: `${space}${value}${space}` });
      assert.deepEqual(
        config,
        loadConfig({ ...complete, [name]: value }),
        `${name} ${JSON.stringify(space)}`,
      );
    }
  }
  const keys = JSON.stringify({ default: " sb_secret_x\n" });
  assert.equal(
    loadConfig({ ...complete, SUPABASE_SECRET_KEYS: keys }).supabase.secretKeys.default,
    "sb_secret_x",
  );
  assert.deepEqual(expected.broken, {});
});

Deno.test("keys that are not JSON, or none at all, are faults", () => {
  for (const value of ["{", "[]", "{}", '"sb_secret_x"', '{"default":1}']) {
    assert.throws(() => loadConfig({ ...testEnvironment, SUPABASE_SECRET_KEYS: value }), ConfigError, value);
  }
});

Deno.test("a variable is of the kind that the documents say", () => {
  for (const [name, { kind }] of Object.entries(variables)) {
    const without = { ...complete, [name]: undefined };
    if (kind === "platform") assert.throws(() => loadConfig(without), ConfigError, name);
    else assert.deepEqual(loadConfig(without).missing, kind === "secret" ? [name] : [], name);
  }
});
