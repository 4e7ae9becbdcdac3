import { codes } from "../_shared/errors/error-codes.ts";
import { appleDeviceCheck } from "../_shared/devices/device-check.ts";
import { database } from "../_shared/database/call.ts";
import { endpoint } from "../_shared/endpoint/endpoint.ts";
import { DeviceCheckRequest, DeviceCheckResponse } from "./schema.ts";
import { checkDevice } from "./service.ts";

export default endpoint({
  method: "POST",
  summary: "Proves that the caller is on a real device, which gets its credits once",
  auth: "user",
  policies: ["device_check", "device_check_network", "device_grants", "device_grants_global", "reads"],
  request: DeviceCheckRequest,
  response: { 200: DeviceCheckResponse },
  errors: [codes["device/not-verified"]],
  ports: { database, apple: appleDeviceCheck },
  service: checkDevice,
});
