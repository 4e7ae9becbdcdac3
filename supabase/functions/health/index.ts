import { database } from "../_shared/database/call.ts";
import { appleDeviceCheck } from "../_shared/devices/device-check.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { videoProviders } from "../_shared/videos/providers/registry.ts";
import { storage } from "../_shared/platform/storage.ts";
import { HealthResponse } from "./schema.ts";
import { getHealth } from "./service.ts";

export default endpoint({
  method: "GET",
  summary: "Whether the backend works; more for a secret key",
  auth: "public",
  response: { 200: HealthResponse, 503: HealthResponse },
  errors: [],
  ports: { database, storage, providers: videoProviders, apple: appleDeviceCheck },
  service: getHealth,
});
