/** The switches of the simulated web: what its names lead to, and what its pages are. */
import * as z from "zod";
import { times } from "../engine/control.ts";

/** A look-up that fits is answered with these addresses; one that fits none, with one that is public. */
const addressRule = z.strictObject({
  effect: z.literal("addresses"),
  name: z.string().optional(),
  times,
  /** Of IPv4 and IPv6; each kind of look-up gets its own. */
  addresses: z.array(z.string()),
});

const page = {
  /** Of the request; any without it. */
  host: z.string().optional(),
  path: z.string().optional(),
  times,
};

/** A request that fits is answered so; one that fits none, with a picture. */
const pageRule = z.discriminatedUnion("effect", [
  z.strictObject({
    effect: z.literal("answer"),
    ...page,
    status: z.int().default(200),
    headers: z.record(z.string(), z.string()).default({}),
    /** In base64. */
    body: z.string().default(""),
  }),
  /** 302 to `location`. */
  z.strictObject({ effect: z.literal("redirect"), ...page, location: z.string() }),
  /** A body of so many bytes, as a Content-Length tells or, without it, in chunks that go on. */
  z.strictObject({ effect: z.literal("huge"), ...page, bytes: z.int(), tells: z.boolean().default(true) }),
  /** A byte now and then, for ever. */
  z.strictObject({ effect: z.literal("slow"), ...page }),
  /** Nothing is answered. */
  z.strictObject({ effect: z.literal("silent"), ...page }),
  /** The connection closes. */
  z.strictObject({ effect: z.literal("down"), ...page }),
]);

export const webRule = z.union([addressRule, pageRule]);
/** What a test writes. */
export type WebRule = z.input<typeof webRule>;
export type ActiveWebRule = z.output<typeof webRule>;
export type AddressRule = z.output<typeof addressRule>;
export type PageRule = z.output<typeof pageRule>;

export const webReport = z.object({
  /** Since the start or the last reset. */
  requests: z.array(z.object({
    host: z.string(),
    path: z.string(),
    headers: z.record(z.string(), z.string()),
  })),
  lookups: z.array(z.object({ name: z.string(), type: z.enum(["A", "AAAA"]) })),
  rules: z.array(webRule),
});
export type WebReport = z.output<typeof webReport>;
