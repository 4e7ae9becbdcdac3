import * as z from "zod/mini";

export const RecoverGuestRequest = z.strictObject({
  /** StoreKit's `AppTransaction`, as its `jwsRepresentation`; they have some 5 kB. */
  signed_app_transaction: z.string().check(z.minLength(1), z.maxLength(32_768)),
});
export type RecoverGuestRequest = z.infer<typeof RecoverGuestRequest>;
