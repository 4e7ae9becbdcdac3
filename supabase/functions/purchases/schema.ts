import * as z from "zod/mini";

/** To be written: what the request has. */
export const GetPurchasesQuery = z.strictObject({});
export type GetPurchasesQuery = z.infer<typeof GetPurchasesQuery>;

/** To be written: what the answer has. */
export const GetPurchasesResponse = z.object({});
export type GetPurchasesResponse = z.infer<typeof GetPurchasesResponse>;

/** To be written: what the request has. */
export const PostPurchasesRequest = z.strictObject({});
export type PostPurchasesRequest = z.infer<typeof PostPurchasesRequest>;

/** To be written: what the answer has. */
export const PostPurchasesResponse = z.object({});
export type PostPurchasesResponse = z.infer<typeof PostPurchasesResponse>;
