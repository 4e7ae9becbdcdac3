/** The video providers that this deployment can use. */
import type { Config } from "../config.ts";
import type { Port } from "../context.ts";
import { falProvider } from "./fal.ts";
import type { Provider } from "./provider.ts";

export interface Providers {
  /** The configured ones; the procedures choose among them. */
  readonly names: readonly string[];
  /** Null for one that is not configured, or not known. */
  get(name: string): Provider | null;
}

/** Adapters to the configured providers, which reach them through `fetch`. */
export function providers(config: Pick<Config, "fal">, fetch: typeof globalThis.fetch): Providers {
  const configured = new Map<string, Provider>();
  if (config.fal !== null) configured.set("fal", falProvider({ config: config.fal, fetch }));
  return {
    names: [...configured.keys()],
    get: (name) => configured.get(name) ?? null,
  };
}

export const videoProviders: Port<Providers> = ({ config, fetch }) => providers(config, fetch);
