import * as z from "zod";

/**
 * Control characters but tabs and line breaks, which prompts have between their shots, and what turns the direction
 * of the text after it around (UAX #9). The marks that Arabic and Hebrew keyboards write do not.
 */
const hidden = /(?![\t\n\r])\p{Cc}|[\u202a-\u202e\u2066-\u2069]/u;

const promptLength = "Must have 1 to 2000 characters";

const Prompt = z.string()
  // Before the work of normalising: a composed character may be written as four, of two code units each.
  .max(20_000, promptLength)
  .transform((text) => text.normalize("NFC").trim())
  .pipe(
    z.string()
      // Counted as Postgres counts: by code points.
      .refine((text) => [...text].length >= 1 && [...text].length <= 2000, promptLength)
      .refine((text) => !hidden.test(text), "Must not contain control or direction characters")
      .refine((text) => text.isWellFormed(), "Must be well-formed Unicode"),
  );

/** What comes before path, query and fragment: no port, not even an empty one, no credentials, no IPv6 address. */
const httpsAuthority = /^https:\/\/[^/?#\\@:]+(?:[/?#]|$)/i;

/** Two labels or more, the last one of letters; the parser has turned every form of an IPv4 address into numbers. */
const dnsName = /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+([a-z][a-z0-9-]{0,61}[a-z0-9])$/;

/** Top-level domains that lead into somebody's own network or nowhere (RFC 6761, 6762, 7686, 8375, 9476). */
const localDomains = [
  ...["alt", "arpa", "corp", "home", "internal", "intranet", "invalid", "lan", "local", "localdomain"],
  ...["localhost", "onion", "private", "test"],
];

/** The URL in its canonical form; by form only: whether there is an image, the provider finds out. */
function publicHttpsUrl(text: string): string | null {
  const url = httpsAuthority.test(text) ? URL.parse(text) : null;
  const topLevelDomain = dnsName.exec(url?.hostname ?? "")?.[1];
  const isPublic = topLevelDomain !== undefined && !localDomains.includes(topLevelDomain);
  return url !== null && isPublic && url.hostname.length <= 253 ? url.href : null;
}

const urlLength = 2048;

const ImageUrl = z.string().max(urlLength).transform((text, context) => {
  const url = publicHttpsUrl(text);
  // Characters outside of ASCII are longer in the canonical form.
  if (url !== null && url.length <= urlLength) return url;
  context.addIssue("Must be an https URL with a public DNS name, without port or credentials");
  return z.NEVER;
});

/** Such as 720p or 16:9; which of them, the model says. */
const setting = z.string().regex(/^[\w.:-]{1,20}$/, "Must be one of the model's options");

export const GenerateVideoRequest = z.strictObject({
  model_id: z.guid().toLowerCase(),
  prompt: Prompt,
  settings: z.strictObject({
    duration_seconds: z.int().positive().max(600).optional(),
    resolution: setting.optional(),
    aspect_ratio: setting.optional(),
  }).default({}),
  image_url: ImageUrl.optional(),
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
