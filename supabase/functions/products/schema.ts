import * as z from "zod/mini";

/** To be written: what the request has. */
export const ProductsQuery = z.strictObject({});
export type ProductsQuery = z.infer<typeof ProductsQuery>;

/** To be written: what the answer has. */
export const ProductsResponse = z.object({});
export type ProductsResponse = z.infer<typeof ProductsResponse>;
