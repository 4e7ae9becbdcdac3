import type { Provider } from "../videos/providers/provider.ts";
import type { Providers } from "../videos/providers/registry.ts";

const unexpected = () => Promise.reject(new Error("This test does not ask the provider for that"));

/** A provider named fal that does what a test gives it, and nothing else. */
export function fakeProvider(given: Partial<Provider> = {}): Provider {
  return {
    name: "fal",
    capabilities: {
      webhook: true,
      cancel: true,
      reportsStart: true,
      pollIntervalSeconds: 2,
      resultHosts: ["*.fal.media"],
    },
    submit: unexpected,
    poll: unexpected,
    cancel: unexpected,
    verifyWebhook: unexpected,
    ...given,
  };
}

/** The registry of these providers. */
export function fakeProviders(...providers: readonly Provider[]): Providers {
  return {
    names: providers.map(({ name }) => name),
    get: (wanted) => providers.find(({ name }) => name === wanted) ?? null,
  };
}
