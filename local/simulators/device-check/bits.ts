/** What the DeviceCheck simulator remembers of devices and their tokens, and Apple's answers about them. */
import * as z from "zod";
import { deviceCheckRule, type Operation } from "./rules.ts";
import { tryParseJson } from "../../../supabase/functions/_shared/platform/json.ts";

/** A token serves the calls of one check. */
const tokenLifeMilliseconds = 5 * 60_000;

export const bitState = z.object({ bit0: z.boolean(), bit1: z.boolean(), last_update_time: z.string() });

export const deviceCheckState = z.object({
  rules: z.array(deviceCheckRule),
  /** Of each device whose bits were set. */
  devices: z.record(z.string(), bitState),
  /** Updates that do not count yet; times in milliseconds since 1970. */
  lateUpdates: z.array(z.object({ device: z.string(), countsFrom: z.number(), state: bitState })),
  /** Of each device token, by its nonce. */
  firstUses: z.record(z.string(), z.number()),
});
export type DeviceCheckState = z.infer<typeof deviceCheckState>;

export const deviceCheckBody = z.object({
  device_token: z.string(),
  transaction_id: z.string().min(1),
  timestamp: z.int().positive(),
  bit0: z.unknown().optional(),
  bit1: z.unknown().optional(),
});
export type DeviceCheckBody = z.infer<typeof deviceCheckBody>;

const bits = z.object({ bit0: z.boolean(), bit1: z.boolean() });
const tokenBody = z.object({ device: z.string(), nonce: z.string(), issuedAt: z.number() });
type Token = z.infer<typeof tokenBody>;

/** A fresh token of a device, as an app on it gets one from `DCDevice.generateToken`, in base64. */
export function deviceToken(device: string): string {
  const token: Token = { device, nonce: crypto.randomUUID(), issuedAt: Date.now() };
  return new TextEncoder().encode(JSON.stringify(token)).toBase64();
}

/** What a token holds; null for one that was not made here. */
export function readToken(token: string): Token | null {
  try {
    const text = new TextDecoder().decode(Uint8Array.fromBase64(token));
    return tokenBody.safeParse(tryParseJson(text)).data ?? null;
  } catch {
    return null;
  }
}

/** 400 in Apple's words for a device token that it does not take. */
export function tokenRefused(): Response {
  return new Response("Missing or incorrectly formatted device token payload", { status: 400 });
}

/** Apple's answer to an authorised call at `now`. Changes the state. An update counts after `delay` milliseconds. */
export function perform(
  state: DeviceCheckState,
  operation: Operation,
  body: DeviceCheckBody | null,
  { delay, neverSetText, now }: { delay: number; neverSetText: string; now: number },
): Response {
  const token = body && readToken(body.device_token);
  if (body === null || token === null) return tokenRefused();
  const firstUse = state.firstUses[token.nonce] ??= now;
  if (now - firstUse > tokenLifeMilliseconds) return tokenRefused();
  applyLateUpdates(state, now);
  switch (operation) {
    case "validate":
      return new Response(null);
    case "query": {
      const known = state.devices[token.device];
      return known === undefined ? new Response(neverSetText) : Response.json(known);
    }
    case "update": {
      const parsed = bits.safeParse(body);
      if (!parsed.success) return new Response("Missing or incorrectly formatted bits", { status: 400 });
      const updated = { ...parsed.data, last_update_time: new Date(now).toISOString().slice(0, 7) };
      if (delay > 0) {
        state.lateUpdates.push({ device: token.device, countsFrom: now + delay, state: updated });
      } else state.devices[token.device] = updated;
      return new Response(null);
    }
  }
}

/** Makes those updates count whose time has come. */
export function applyLateUpdates(state: DeviceCheckState, now: number): void {
  for (const update of state.lateUpdates) {
    if (update.countsFrom <= now) state.devices[update.device] = update.state;
  }
  state.lateUpdates = state.lateUpdates.filter(({ countsFrom }) => countsFrom > now);
}
