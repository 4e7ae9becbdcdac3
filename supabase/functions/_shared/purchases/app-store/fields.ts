/** Forms that the fields of Apple's payloads share. A field of another form than it must have is as if it were not there. */
import * as z from "zod/mini";

/** Milliseconds since 1970, with a fraction where Xcode wrote them, as ISO 8601; null without a date. */
export const date = z.catch(
  z.pipe(
    // Until the end of the year 9999: the database reads no longer years in ISO 8601.
    z.number().check(z.minimum(0), z.maximum(253_402_300_799_999)),
    z.transform((milliseconds: number): string | null => new Date(milliseconds).toISOString()),
  ),
  null,
);

/** Apple's ids are numbers in decimal digits; that they stay so is not for us to say, but they go into URLs and rows. */
export const id = z.string().check(z.regex(/^[\w.-]{1,40}$/));

/** A number of Apple's for a reason or a state, which the database keeps in 32 bits. */
export const code = z.int32();

/** Of App Store Connect. */
export const productId = z.string().check(z.minLength(1), z.maxLength(200));

const storeEnvironments = ["Production", "Sandbox", "Xcode", "LocalTesting"] as const;

export const environment = z.pipe(
  z.enum(storeEnvironments),
  // What Xcode makes counts as what the sandbox makes: it cost nothing.
  z.transform((name: typeof storeEnvironments[number]): StoreEnvironment =>
    name === "Production" ? "production" : "sandbox"
  ),
);

export type StoreEnvironment = "production" | "sandbox";

/** The field's value where it has the form of `schema`, and null otherwise. */
export function nullable<Output>(schema: z.ZodMiniType<Output>): z.ZodMiniType<Output | null> {
  return z.catch(z.nullable(schema), null);
}
