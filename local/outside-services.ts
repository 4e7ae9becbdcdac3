/**
 * The services outside, simulated. Where the stack's data is kept, so is theirs: real ones outlive a crash of ours.
 */
import type { Directory } from "./directory.ts";
import type { Keys } from "./keys.ts";
import { type ApnsSimulator, startApnsSimulator } from "./simulators/apns/apns.ts";
import {
  type AppleIdOptions,
  type AppleIdSimulator,
  startAppleIdSimulator,
} from "./simulators/apple-id/apple-id.ts";
import {
  type AppStoreOptions,
  type AppStoreSimulator,
  startAppStoreSimulator,
} from "./simulators/app-store/app-store.ts";
import {
  type DeviceCheckSimulator,
  startDeviceCheckSimulator,
} from "./simulators/device-check/device-check.ts";
import { type FalOptions, type FalSimulator, startFalSimulator } from "./simulators/fal/fal.ts";
import { type OpenAiSimulator, startOpenAiSimulator } from "./simulators/openai/openai.ts";
import {
  type ReplicateOptions,
  type ReplicateSimulator,
  startReplicateSimulator,
} from "./simulators/replicate/replicate.ts";
import {
  type RunwayOptions,
  type RunwaySimulator,
  startRunwaySimulator,
} from "./simulators/runway/runway.ts";

import { startWebSimulator, type WebSimulator } from "./simulators/web/web.ts";

/** How fast the simulated services are. */
export interface ProviderTimes {
  appleId?: Pick<AppleIdOptions, "retryMilliseconds">;
  appStore?: Pick<AppStoreOptions, "retryMilliseconds">;
  fal?: Pick<FalOptions, "queueMilliseconds" | "runMilliseconds" | "webhookRetryMilliseconds">;
  replicate?: Pick<ReplicateOptions, "queueMilliseconds" | "runMilliseconds" | "webhookRetryMilliseconds">;
  runway?: Pick<RunwayOptions, "queueMilliseconds" | "runMilliseconds">;
}

/** The bundle id of the app, which an identity token of Apple's names as its audience. */
export const appleClientId = "com.example.kinora";

/** Where the services listen, on 127.0.0.1. */
export interface ServicePorts {
  fal: number;
  falMedia: number;
  replicate: number;
  replicateMedia: number;
  runway: number;
  runwayMedia: number;
  openAi: number;
  deviceCheck: number;
  appStore: number;
  appleId: number;
  /** Of its switches. */
  web: number;
  /** Of its switches. */
  apns: number;
}

export interface OutsideServices {
  readonly fal: FalSimulator;
  readonly replicate: ReplicateSimulator;
  readonly runway: RunwaySimulator;
  readonly openAi: OpenAiSimulator;
  readonly deviceCheck: DeviceCheckSimulator;
  readonly appStore: AppStoreSimulator;
  readonly appleId: AppleIdSimulator;
  readonly web: WebSimulator;
  readonly apns: ApnsSimulator;
}

/** Starts all of them; `cleanup` ends them. A port that is not said is any free one. */
export async function startOutsideServices(
  { times, ports, keys }: { times: ProviderTimes; ports: Partial<ServicePorts>; keys: Keys },
  { path, kept }: Directory,
  cleanup: AsyncDisposableStack,
): Promise<OutsideServices> {
  const at = (port: number | undefined, mediaPort?: number) => ({
    ...(port === undefined ? {} : { port }),
    ...(mediaPort === undefined ? {} : { mediaPort }),
  });
  const keptIn = (name: string) => kept ? { stateFile: `${path}/${name}.json` } : {};
  const deviceCheck = cleanup.use(
    await startDeviceCheckSimulator({
      ...at(ports.deviceCheck),
      ...keptIn("device-check"),
      teamId: keys.appleTeamId,
      keyId: keys.deviceCheckKeyId,
      publicKey: keys.deviceCheckPublicKey,
    }),
  );
  const appStore = cleanup.use(
    await startAppStoreSimulator({
      ...times.appStore,
      ...at(ports.appStore),
      ...keptIn("app-store"),
      bundleId: keys.appStoreBundleId,
      appAppleId: keys.appStoreAppId,
      account: {
        issuerId: keys.appStoreIssuerId,
        keyId: keys.appStoreKeyId,
        publicKey: keys.appStorePublicKey,
      },
      authority: keys.appStoreAuthority,
    }),
  );
  const fal = cleanup.use(
    await startFalSimulator({
      ...times.fal,
      ...at(ports.fal, ports.falMedia),
      ...keptIn("fal"),
      key: keys.falKey,
      accountId: keys.falAccountId,
    }),
  );
  const replicate = cleanup.use(
    await startReplicateSimulator({
      ...times.replicate,
      ...at(ports.replicate, ports.replicateMedia),
      ...keptIn("replicate"),
      token: keys.replicateToken,
      webhookSecret: keys.replicateWebhookSecret,
    }),
  );
  const runway = cleanup.use(
    await startRunwaySimulator({
      ...times.runway,
      ...at(ports.runway, ports.runwayMedia),
      ...keptIn("runway"),
      secret: keys.runwaySecret,
    }),
  );
  const openAi = cleanup.use(await startOpenAiSimulator({ ...at(ports.openAi), key: keys.openAiKey }));
  const appleId = cleanup.use(
    await startAppleIdSimulator({
      ...times.appleId,
      ...at(ports.appleId),
      ...keptIn("apple-id"),
      teamId: keys.appleTeamId,
      keyId: keys.appleIdKeyId,
      publicKey: keys.appleIdPublicKey,
      clientId: keys.appStoreBundleId,
    }),
  );
  const web = cleanup.use(await startWebSimulator(at(ports.web)));
  const apns = cleanup.use(
    await startApnsSimulator({
      ...at(ports.apns),
      teamId: keys.appleTeamId,
      keyId: keys.apnsKeyId,
      publicKey: keys.apnsPublicKey,
      topic: keys.appStoreBundleId,
    }),
  );
  return { fal, replicate, runway, openAi, deviceCheck, appStore, appleId, web, apns };
}

/** Where they are listening now. */
export function servicePorts(
  { fal, replicate, runway, openAi, deviceCheck, appStore, appleId, web, apns }: OutsideServices,
): ServicePorts {
  return {
    fal: fal.port,
    falMedia: fal.mediaPort,
    replicate: replicate.port,
    replicateMedia: replicate.mediaPort,
    runway: runway.port,
    runwayMedia: runway.mediaPort,
    openAi: openAi.port,
    deviceCheck: deviceCheck.port,
    appStore: appStore.port,
    appleId: appleId.port,
    web: web.port,
    apns: apns.port,
  };
}
