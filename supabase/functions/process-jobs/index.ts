import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { appleSignIn } from "../_shared/accounts/apple-id.ts";
import { apns } from "../_shared/notify/apns.ts";
import { appStoreServerApi } from "../_shared/purchases/app-store/server-api.ts";
import { webhookTaskPorts } from "../_shared/webhooks/tasks.ts";
import { videoTaskPorts } from "../_shared/videos/tasks.ts";
import { ProcessJobsResponse } from "./schema.ts";
import { processJobs } from "./service.ts";

export default endpoint({
  method: "POST",
  summary: "Wakes the worker, which goes on after the answer",
  auth: "worker",
  response: { 202: ProcessJobsResponse },
  errors: [],
  ports: { ...videoTaskPorts, ...webhookTaskPorts, appStore: appStoreServerApi, appleId: appleSignIn, apns },
  service: processJobs,
});
