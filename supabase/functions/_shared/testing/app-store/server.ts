import type { Declaration } from "../../endpoint/operation.ts";
import { fakeDataApi, type FakeProcedures, type ProcedureCall } from "../data-api.ts";
import { type TestServer, testServer } from "../server.ts";
import { projectUrl } from "../tokens.ts";
import { appAppleId, bundleId, type TestAppStore } from "./signed-data.ts";

/** Only a project on its developer's machine believes another store than Apple's. */
const localUrl = "http://127.0.0.1:54321";

/** Serves operations of a project whose App Store is the tests' own, before a database that answers as `procedures` say. */
export async function serveWithAppStore(
  operations: readonly Declaration[],
  store: TestAppStore,
  procedures: FakeProcedures,
): Promise<{ server: TestServer; calls: ProcedureCall[] }> {
  const { fetch, calls } = fakeDataApi(procedures);
  const server = await testServer(operations, {
    SUPABASE_URL: localUrl,
    // Whose tokens the test server's callers have.
    JWT_ISSUER: `${projectUrl}/auth/v1`,
    APP_STORE_BUNDLE_ID: bundleId,
    APP_STORE_APP_ID: String(appAppleId),
    APP_STORE_ROOT_CERTIFICATE: store.rootCertificate,
  }, { fetch: (input, init) => fetch(String(input).replace(localUrl, projectUrl), init) });
  return { server, calls };
}
