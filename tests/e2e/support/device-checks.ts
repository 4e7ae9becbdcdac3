/** Checks of devices from networks that a test chooses, where the backend trusts what a client says of its address. */
import type * as z from "zod";
import { deviceToken } from "../../../local/simulators/device-check/device-check.ts";
import { DeviceCheckResponse } from "../../../supabase/functions/device-check/schema.ts";
import { type Answer, bodyOf, errorOf } from "./answer.ts";
import type { Backend, Guest } from "./backend.ts";

type Check = z.output<typeof DeviceCheckResponse>;
export type InitialGrant = Check["initial_grant"];

let networks = 0;
/** An address of a network that no other test of the file has. */
export function newNetwork(): string {
  networks++;
  return `198.51.100.${networks}`;
}

/** With a token of its own, and nothing else that would tie it to another check of the device. */
export function request(guest: Guest, device: string, network: string): Promise<Answer> {
  return guest.call("device-check", {
    body: { device_token: deviceToken(device) },
    headers: { "cf-connecting-ip": network },
  });
}

export async function check(guest: Guest, device: string, network: string): Promise<Check> {
  return bodyOf(await request(guest, device, network), 200, DeviceCheckResponse);
}

/** What a check grants; null where a crowd was more than the database took in time. */
export async function grantOf(guest: Guest, device: string, network: string): Promise<InitialGrant | null> {
  const answer = await request(guest, device, network);
  if (answer.status !== 503) return bodyOf(answer, 200, DeviceCheckResponse).initial_grant;
  errorOf(answer, "ERR_6001");
  return null;
}

/** What Apple remembers of a device. */
export async function bitsOf(
  { stack }: Backend,
  device: string,
): Promise<{ bit0: boolean; bit1: boolean } | undefined> {
  const { devices } = await stack.simulators.deviceCheck.control.report();
  const state = devices[device];
  return state && { bit0: state.bit0, bit1: state.bit1 };
}

export const granted = { status: "granted", credits: 10 };
export const alreadyClaimed = { status: "already_claimed", credits: 0 };
export const pending = (reason: string, retry_after: number) => ({
  status: "pending",
  credits: 0,
  reason,
  retry_after,
});
/** After an update that Apple did not answer: until the intent is good for the next check. */
export const unanswered = pending("apple_unavailable", 30);

/** Milliseconds for which a network's lane is leased. */
export const laneMilliseconds = 10_000;
/** Milliseconds after which the intent of a check that ended half-way is good for the next. */
export const intentMilliseconds = 30_000;
