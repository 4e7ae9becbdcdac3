/** The video providers that this deployment can use. */
import type { Config } from "../../platform/config.ts";
import type { Port } from "../../endpoint/context.ts";
import { falProvider } from "./fal/fal.ts";
import type { Provider } from "./provider.ts";
import { replicateProvider } from "./replicate/replicate.ts";
import { runwayProvider } from "./runway/runway.ts";

export interface Providers {
  /** The configured ones; the procedures choose among them. */
  readonly names: readonly string[];
  /** Null for one that is not configured, or not known. */
  get(name: string): Provider | null;
}

/** Adapters to the configured providers, which reach them through `fetch`. */
export function providers(
  { fal, replicate, runway }: Pick<Config, "fal" | "replicate" | "runway">,
  fetch: typeof globalThis.fetch,
): Providers {
  const configured = new Map<string, Provider>();
  if (fal !== null) configured.set("fal", falProvider({ config: fal, fetch }));
  if (replicate !== null) configured.set("replicate", replicateProvider({ config: replicate, fetch }));
  if (runway !== null) configured.set("runway", runwayProvider({ config: runway, fetch }));
  return {
    names: [...configured.keys()],
    get: (name) => configured.get(name) ?? null,
  };
}

export const videoProviders: Port<Providers> = ({ config, fetch }) => providers(config, fetch);
