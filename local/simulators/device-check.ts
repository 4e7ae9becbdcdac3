/**
 * Apple's DeviceCheck on one machine: it checks our token, remembers two bits for each device, and answers in
 * Apple's words. README.md tells the switches.
 */
import { exportPKCS8, exportSPKI, generateKeyPair, importSPKI, jwtVerify } from "jose";
import * as z from "zod";
import { answerControl, type SimulatorControl, simulatorControl } from "./control.ts";
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
} from "./device-check-bits.ts";
import { type DeviceCheckRule, deviceCheckRule, type Operation, ruleFor } from "./device-check-rules.ts";
import { parseJson } from "./json.ts";
import { hangUp, startLoopbackServer } from "./loopback-server.ts";
import { Pauses } from "./pause.ts";
import { stateFile } from "./state-file.ts";

export { deviceToken } from "./device-check-bits.ts";
export type { DeviceCheckRule } from "./device-check-rules.ts";

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
export type DeviceCheckReport = z.infer<typeof deviceCheckReport>;

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

export interface DeviceCheckSimulator extends AsyncDisposable {
  /** For APPLE_DEVICE_CHECK_URL. */
  readonly url: string;
  readonly port: number;
  readonly control: SimulatorControl<DeviceCheckRule, DeviceCheckReport>;
}

/** As Apple has it for the tokens of its other services, which are made the same way. */
const authorizationLifeSeconds = 60 * 60;
const clockToleranceSeconds = 60;
const maxLoggedCalls = 1_000;

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

/** The switches and the log of the simulator at `url`. */
export function deviceCheckControl(url: string): SimulatorControl<DeviceCheckRule, DeviceCheckReport> {
  return simulatorControl<DeviceCheckRule, DeviceCheckReport>(url, (body) => deviceCheckReport.parse(body));
}

/** Starts the simulator, with the bits that an earlier one with the same state file remembered. */
export async function startDeviceCheckSimulator(options: DeviceCheckOptions): Promise<DeviceCheckSimulator> {
  const { teamId, keyId, neverSetText = "Failed to find bit state", now = Date.now } = options;
  const publicKey = await importSPKI(options.publicKey, "ES256");
  const file = stateFile(options.stateFile, deviceCheckState);
  const state: DeviceCheckState = file.load() ?? { rules: [], devices: {}, lateUpdates: [], firstUses: {} };
  const log: z.infer<typeof call>[] = [];
  const pauses = new Pauses();

  const server = await startLoopbackServer(options.port ?? 0, async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/_control") {
      const report = () => {
        applyLateUpdates(state, now());
        return { requests: log, rules: state.rules, devices: state.devices };
      };
      const changed = () => file.save(state);
      const elapse = (milliseconds: number) => {
        pauses.elapse(milliseconds);
        for (const update of state.lateUpdates) update.countsFrom -= milliseconds;
      };
      const { rules } = state;
      return await answerControl(request, deviceCheckRule, { rules, log, elapse, changed, report });
    }
    const operation = Object.hasOwn(operations, pathname) ? operations[pathname] : undefined;
    if (operation === undefined) return new Response("Not Found", { status: 404 });
    if (request.method !== "POST") return new Response("Method Not Allowed", { status: 405 });
    const body = deviceCheckBody.safeParse(parseJson(await request.text())).data ?? null;
    const device = body && (readToken(body.device_token)?.device ?? null);
    const answer = await answerTo(operation, request, body, device);
    file.save(state);
    const transactionId = body?.transaction_id ?? null;
    log.push({ at: now(), operation, device, transactionId, status: answer?.status ?? null });
    if (log.length > maxLoggedCalls) log.shift();
    return answer ?? hangUp;
  });

  /** Null where the connection closes instead. */
  async function answerTo(
    operation: Operation,
    request: Request,
    body: DeviceCheckBody | null,
    device: string | null,
  ): Promise<Response | null> {
    const rule = ruleFor(state.rules, operation, device);
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
        await pauses.pause(rule.milliseconds);
        return tokenRefused();
      case "garbage":
        return new Response("<html>It works!</html>");
      case "slow":
        await pauses.pause(rule.milliseconds);
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

  return {
    url: server.url,
    port: server.port,
    control: deviceCheckControl(server.url),
    async [Symbol.asyncDispose]() {
      pauses[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

function unauthorized(): Response {
  return new Response("Unable to verify authorization token", { status: 401 });
}
