import * as z from "zod/mini";
import { Product } from "../_shared/purchases/contract.ts";

export const ProductsResponse = z.object({ products: z.array(Product) });
export type ProductsResponse = z.infer<typeof ProductsResponse>;
