/**
 * Apple's DeviceCheck on one machine: it checks our token, remembers two bits for each device, and answers in
 * Apple's words. README.md tells the switches.
 */
import { exportPKCS8, exportSPKI, generateKeyPair, importSPKI, jwtVerify } from "jose";
import * as z from "zod";
import { tryParseJson } from "../../../supabase/functions/_shared/platform/json.ts";
import { takeRule } from "../engine/control.ts";
import { hangUp } from "../engine/loopback-server.ts";
import { keepRequest } from "../engine/request-log.ts";
import { type Simulator, startSimulator } from "../engine/simulator.ts";
import { stateFile } from "../engine/state-file.ts";
import {
  applyLateUpdates,
  bitState,
  type DeviceCheckBody,
  deviceCheckBody,
  type DeviceCheckState,
  deviceCheckState,
  perform,
  readToken,
  tokenRefused,
} from "./bits.ts";
import { type DeviceCheckRule, deviceCheckRule, type Operation } from "./rules.ts";

export { deviceToken } from "./bits.ts";
export type { DeviceCheckRule } from "./rules.ts";

const call = z.object({
  at: z.number(),
  operation: z.string(),
  device: z.string().nullable(),
  transactionId: z.string().nullable(),
  /** Null where the connection was closed instead. */
  status: z.number().nullable(),
});
const deviceCheckReport = z.object({
  /** Since the start or the last reset, the newest 1,000. */
  requests: z.array(call),
  rules: z.array(deviceCheckRule),
  devices: z.record(z.string(), bitState),
});
type DeviceCheckReport = z.infer<typeof deviceCheckReport>;

export interface DeviceCheckOptions {
  /** A free one without it. */
  readonly port?: number;
  /** Where bits, rules and used tokens live on between two starts. */
  readonly stateFile?: string;
  readonly teamId: string;
  readonly keyId: string;
  /** SPKI in PEM. */
  readonly publicKey: string;
  /** Which of Apple's two texts a device gets whose bits were never set. */
  readonly neverSetText?: "Failed to find bit state" | "Bit State Not Found";
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** Its `url` is for APPLE_DEVICE_CHECK_URL. */
export type DeviceCheckSimulator = Simulator<DeviceCheckRule, DeviceCheckReport>;

/** As Apple has it for the tokens of its other services, which are made the same way. */
const authorizationLifeSeconds = 60 * 60;
const clockToleranceSeconds = 60;

const operations: Readonly<Record<string, Operation>> = {
  "/v1/query_two_bits": "query",
  "/v1/update_two_bits": "update",
  "/v1/validate_device_token": "validate",
};

/** A key for DeviceCheck as Apple's developer site gives one: the private half in PKCS#8, the public in SPKI. */
export async function newDeviceCheckKey(): Promise<{ privateKey: string; publicKey: string }> {
  const pair = await generateKeyPair("ES256", { extractable: true });
  return { privateKey: await exportPKCS8(pair.privateKey), publicKey: await exportSPKI(pair.publicKey) };
}

/** Starts the simulator, with the bits that an earlier one with the same state file remembered. */
export async function startDeviceCheckSimulator(options: DeviceCheckOptions): Promise<DeviceCheckSimulator> {
  const { teamId, keyId, neverSetText = "Failed to find bit state", now = Date.now } = options;
  const publicKey = await importSPKI(options.publicKey, "ES256");
  const file = stateFile(options.stateFile, deviceCheckState);
  const state: DeviceCheckState = file.load() ?? { rules: [], devices: {}, lateUpdates: [], firstUses: {} };
  const log: z.infer<typeof call>[] = [];
  const save = () => file.save(state);

  async function answer(
    request: Request,
    pause: (milliseconds: number) => Promise<void>,
  ): Promise<Response | typeof hangUp> {
    const { pathname } = new URL(request.url);
    const operation = Object.hasOwn(operations, pathname) ? operations[pathname] : undefined;
    if (operation === undefined) return new Response("Not Found", { status: 404 });
    if (request.method !== "POST") return new Response("Method Not Allowed", { status: 405 });
    const body = deviceCheckBody.safeParse(tryParseJson(await request.text())).data ?? null;
    const device = body && (readToken(body.device_token)?.device ?? null);
    const response = await answerTo(operation, request, body, device, pause);
    save();
    const transactionId = body?.transaction_id ?? null;
    keepRequest(log, { at: now(), operation, device, transactionId, status: response?.status ?? null });
    return response ?? hangUp;
  }

  /** Null where the connection closes instead. */
  async function answerTo(
    operation: Operation,
    request: Request,
    body: DeviceCheckBody | null,
    device: string | null,
    pause: (milliseconds: number) => Promise<void>,
  ): Promise<Response | null> {
    const rule = takeRule(
      state.rules,
      (each) =>
        (each.operation === undefined || each.operation === operation) &&
        (each.device === undefined || each.device === device) &&
        (each.effect !== "late_update" || operation === "update"),
    );
    switch (rule?.effect) {
      case "down":
        return null;
      case "rate_limited":
        return new Response("Too Many Requests", { status: 429 });
      case "server_error":
        return new Response("Internal Server Error", { status: 500 });
      case "unauthorized":
        return unauthorized();
      case "refused":
        return tokenRefused();
      case "token_expires":
        await pause(rule.milliseconds);
        return tokenRefused();
      case "garbage":
        return new Response("<html>It works!</html>");
      case "slow":
        await pause(rule.milliseconds);
        break;
    }
    if (!await isAuthorized(request)) return unauthorized();
    const delay = rule?.effect === "late_update" ? rule.milliseconds : 0;
    const answer = perform(state, operation, body, { delay, neverSetText, now: now() });
    if (rule?.effect === "late_error") return new Response("Internal Server Error", { status: 500 });
    return rule?.effect === "answer_lost" ? null : answer;
  }

  async function isAuthorized(request: Request): Promise<boolean> {
    const token = /^Bearer (.+)$/.exec(request.headers.get("authorization") ?? "")?.[1] ?? "";
    try {
      const { protectedHeader } = await jwtVerify(token, publicKey, {
        algorithms: ["ES256"],
        issuer: teamId,
        maxTokenAge: authorizationLifeSeconds,
        currentDate: new Date(now()),
        clockTolerance: clockToleranceSeconds,
      });
      return protectedHeader.kid === keyId;
    } catch {
      return false;
    }
  }

  return await startSimulator({
    ...{ port: options.port, rule: deviceCheckRule, rules: state.rules, log, report: deviceCheckReport },
    tell() {
      applyLateUpdates(state, now());
      return { devices: state.devices };
    },
    elapse(milliseconds) {
      for (const update of state.lateUpdates) update.countsFrom -= milliseconds;
    },
    ...{ save, answer },
  });
}

function unauthorized(): Response {
  return new Response("Unable to verify authorization token", { status: 401 });
}
