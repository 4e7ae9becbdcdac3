import type { Port } from "./context.ts";

/** The platform's fetch, for what a service streams from elsewhere. */
export const platformFetch: Port<typeof fetch> = ({ fetch }) => fetch;
