/** How simulated Apple tells our server what became of an identity, and that it tries again. */
import * as z from "zod";
import { type Deliveries, delivery, startDeliveries } from "../engine/deliveries.ts";
import type { AppleSigner, IdentityEvent } from "./signing.ts";

const hour = 60 * 60_000;
/** Apple does not say how often it tries again; here it does as its App Store. */
const policy = {
  timeoutMilliseconds: 30_000,
  pauses: [1, 12, 24, 48, 72].map((hours) => hours * hour),
};

/** What is kept of it between two starts. */
export const notificationState = z.object({
  /** Where they go, as Apple's developer account is told it. */
  url: z.string().nullable().default(null),
  deliveries: z.array(delivery).default([]),
  /** By the delivery's id. */
  bodies: z.record(z.string(), z.string()).default({}),
});
type NotificationState = z.infer<typeof notificationState>;

/** What somebody does at Apple's, for apps that are no test. */
export const toldEvent = z.strictObject({
  type: z.string().min(1),
  sub: z.string().min(1),
  email: z.string().optional(),
});

export interface Notifications extends AsyncDisposable {
  readonly deliveries: Deliveries;
  /** Signs it and sends it; gives the number of the delivery. Throws where nothing says whereto. */
  tell(event: IdentityEvent): Promise<string>;
}

/** Sends what is to be sent until it is disposed of. `changed` is called when there is something to keep. */
export function startNotifications(
  { state, signer, changed, retryMilliseconds }: {
    state: NotificationState;
    signer: AppleSigner;
    changed: () => void;
    /** What a retry waits; hours without it. */
    retryMilliseconds?: number | undefined;
  },
): Notifications {
  const deliveries = startDeliveries({
    all: () => state.deliveries,
    bodyOf: ({ id }) => state.bodies[id] ?? "",
    sign: () => Promise.resolve({ "content-type": "application/json" }),
    policy: retryMilliseconds === undefined
      ? policy
      : { ...policy, pauses: policy.pauses.map(() => retryMilliseconds) },
    changed,
  });
  return {
    deliveries,
    async tell(event) {
      const { url } = state;
      if (url === null) throw new Error("Nobody has said where Apple's notifications go");
      const id = crypto.randomUUID();
      // Before it is there to be sent.
      state.bodies[id] = JSON.stringify(await signer.notification(event));
      state.deliveries.push({
        ...{ id, requestId: event.sub, url, kind: "genuine", dueAt: Date.now() },
        ...{ attempts: 0, state: "due", lastStatus: null },
      });
      changed();
      deliveries.schedule();
      return id;
    },
    [Symbol.asyncDispose]: () => deliveries[Symbol.asyncDispose](),
  };
}
