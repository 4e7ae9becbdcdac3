import * as z from "zod/mini";
import { Credits } from "../_shared/credits/contract.ts";
import { pageQuery } from "../_shared/request/cursor.ts";

export const CreditsQuery = z.strictObject(pageQuery);
export type CreditsQuery = z.infer<typeof CreditsQuery>;

/** What a cursor holds: the number of the last transaction that was shown. */
export const CreditsPosition = z.strictObject({ number: z.int().check(z.positive()) });

/** A page as the database tells it, with where the next one begins; null at the end. */
export const CreditsPage = z.extend(Credits, { next: z.nullable(CreditsPosition) });
export type CreditsPage = z.infer<typeof CreditsPage>;

export const CreditsResponse = z.extend(Credits, { next_cursor: z.nullable(z.string()) });
export type CreditsResponse = z.infer<typeof CreditsResponse>;
