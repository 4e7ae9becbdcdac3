import * as z from "zod";

/** Control characters but line breaks and tabs, and what turns the direction of text around (UAX #9). */
const hidden =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;

const Prompt = z.string()
  // Long texts are not normalised before they are refused: NFC makes at most three characters of one.
  .max(20_000)
  .transform((text) => text.normalize("NFC").trim())
  .pipe(
    z.string()
      // Counted as Postgres counts: by code points.
      .refine((text) => [...text].length >= 1 && [...text].length <= 2000, "Must have 1 to 2000 characters")
      .refine((text) => !hidden.test(text), "Must not contain control or direction characters")
      .refine((text) => text.isWellFormed(), "Must be well-formed Unicode"),
  );

/** By form only: whether there is an image, the provider finds out. */
function isPublicHttpsUrl(text: string): boolean {
  const url = URL.parse(text);
  if (
    url === null || url.protocol !== "https:" || url.port !== "" || url.username !== "" || url.password !== ""
  ) {
    return false;
  }
  const labels = url.hostname.split(".");
  const topLevel = labels.at(-1) ?? "";
  // The parser has turned every form of an IPv4 address into four numbers; no top-level domain is one.
  const isName = labels.length > 1 && /^[a-z][a-z0-9-]*[a-z0-9]$/.test(topLevel);
  return isName && !["local", "localhost", "internal", "lan", "home", "corp", "test", "invalid", "onion"]
    .includes(topLevel) &&
    !url.hostname.endsWith(".home.arpa");
}

export const GenerateVideoRequest = z.strictObject({
  model_id: z.uuid(),
  prompt: Prompt,
  settings: z.strictObject({
    duration_seconds: z.int().positive().max(600).optional(),
    resolution: z.string().max(20).optional(),
    aspect_ratio: z.string().max(20).optional(),
  }).default({}),
  image_url: z.string().max(2048)
    .refine(isPublicHttpsUrl, "Must be an https URL with a public DNS name, without port or credentials")
    .optional(),
});
export type GenerateVideoRequest = z.infer<typeof GenerateVideoRequest>;

export const GenerateVideoResponse = z.object({
  job_id: z.uuid(),
  status: z.literal("pending"),
  credits_used: z.int().positive(),
  credits_remaining: z.int().nonnegative(),
  created_at: z.iso.datetime({ precision: 3 }),
});
export type GenerateVideoResponse = z.infer<typeof GenerateVideoResponse>;
