/** Keeps people and secrets out of the log, by the name of a field and by the look of a text. */

const redacted = "[redacted]";

/**
 * Parts of field names, compared without case, `_` and `-`, whose values are never written: credentials, what
 * identifies a person or a device, and what people write. `input` is where providers echo a prompt.
 */
const secretNames = [
  "apikey",
  "appleid",
  "appleuser",
  "authorization",
  "cookie",
  "deviceid",
  "email",
  "password",
  "phone",
  "privatekey",
  "prompt",
  "secret",
  "signature",
  "token",
];
const secretWholeNames = ["input", "body", "displayname", "key", "signedpayload"];

/** Texts that give themselves away. Each is written so that no text makes it backtrack for long. */
const secretTexts: readonly (readonly [RegExp, string | ((match: string, ...groups: string[]) => string)])[] =
  [
    // Parameters of signed URLs and webhooks: token, X-Amz-Signature, and whatever else is called so.
    [
      /([?&][\w.-]{0,40}(?:token|key|sig|signature|secret|credential|email|phone|prompt|device_?id)=)[^&\s"']+/gi,
      `$1${redacted}`,
    ],
    // Members of JSON within a text, also where its quotes are escaped once more.
    [/"([\w-]{1,60})"(\s*:\s*)(?:"(?:[^"\\]|\\.)*"?|[\d.+-]+)/g, redactMember],
    [/\\"([\w-]{1,60})\\"(\s*:\s*)\\"(?:(?!\\")[^])*(?:\\")?/g, redactMember],
    [/\b(Bearer|Basic)\s+[\w.~+/=-]{6,}/gi, `$1 ${redacted}`],
    // fal's form of a credential: Key <id>:<secret>.
    [/\bKey\s+[\w-]{8,}:[\w-]{8,}/g, `Key ${redacted}`],
    [/\bsb_(secret|publishable)_[\w-]+/g, redacted],
    [/\bwhsec_[\w+/=-]+/g, redacted],
    // Replicate's and Runway's keys.
    [/\b(?:r8|key)_[A-Za-z0-9]{20,}/g, redacted],
    // A JWT or JWS: its header is always base64url of `{"`.
    [/\beyJ[\w-]+(?:\.[\w-]*){1,4}/g, redacted],
    [/-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?/g, redacted],
    [/[\w.%+-]{1,64}(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}/g, redacted],
    // Codes and tokens of Sign in with Apple.
    [/\b[acr][0-9a-f]{32}\.\d{1,2}\.[a-z]{1,10}\.[\w-]{16,64}/g, redacted],
    // Its subject.
    [/\b\d{6}\.[0-9a-f]{32}\.\d{4}\b/g, redacted],
    // A push token is 32 bytes in hex or more; a DeviceCheck token is a long base64 text.
    [/\b[0-9a-f]{64,}\b/gi, redacted],
    // Half of it is still one. A path may be as long, and has no capitals, or no digits.
    [/[\w+/-]{80,}={0,2}/g, (text) => text.length >= 200 || looksEncoded(text) ? redacted : text],
    [
      /\b[2-6]\d{3}([ -]?)(?:\d{4}\1){2}\d{1,7}\b|\b3\d{3}[ -]?\d{6}[ -]?\d{5}\b/g,
      (text) => isCardNumber(text) ? redacted : text,
    ],
    [/(?<![\w.:])\+\d[\d ().-]{6,18}\d\b|\(\d{3}\) ?\d{3}[-. ]\d{4}\b/g, redacted],
  ];

/** A value as it may be logged under a name: plain JSON, without secrets, 6 levels deep at most. */
export function redactValue(name: string, value: unknown, within: readonly unknown[] = []): unknown {
  if (value === null || value === undefined || typeof value === "boolean") return value;
  if (isSecretName(name)) return redacted;
  // A card number may come as a number, too.
  if (typeof value === "number" && Math.abs(value) < harmlessNumber) return value;
  if (typeof value === "number") return redactText(String(value)) === String(value) ? value : redacted;
  if (typeof value === "string") return redactText(value);
  if (within.includes(value)) return "[circular]";
  if (within.length >= 6) return "[deep]";
  const path = [...within, value];
  if (value instanceof Error) return describeError(value, path);
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.map((item) => redactValue(name, item, path));
  if (typeof value !== "object") return redactText(String(value));
  if ("toJSON" in value && typeof value.toJSON === "function") {
    return redactValue(name, value.toJSON(), path);
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [redactText(key), redactValue(key, member, path)]),
  );
}

/**
 * Texts in which none of the patterns finds anything, as most fields of a line are: our ids, and short words without a
 * digit, unless they begin as a key does.
 */
const harmless = /^(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?!sb_|whsec_)[A-Za-z][A-Za-z_-]{0,18})$/;

/** The shortest card numbers have 12 digits. */
const harmlessNumber = 1e11;

/** A text without what looks like a secret or a person. */
export function redactText(text: string): string {
  if (harmless.test(text)) return text;
  // Longer ones say nothing more, and the patterns need not read them. Whoever cuts may split a secret, so
  // the patterns see some more than is written.
  const long = text.length > 4_000;
  let result = long ? text.slice(0, 4_500) : text;
  for (const [pattern, replacement] of secretTexts) {
    result = typeof replacement === "string"
      ? result.replace(pattern, replacement)
      : result.replace(pattern, replacement);
  }
  return long ? `${result.slice(0, 4_000)}…` : result;
}

function isSecretName(name: string): boolean {
  const plain = name.toLowerCase().replace(/[_-]/g, "");
  return secretWholeNames.includes(plain) || secretNames.some((part) => plain.includes(part));
}

function describeError(error: Error, path: readonly unknown[]): unknown {
  const code = "code" in error ? error.code : undefined;
  return {
    name: error.name,
    message: redactText(error.message),
    ...(typeof code === "string" || typeof code === "number" ? { code } : {}),
    ...(error.stack === undefined ? {} : { stack: redactText(error.stack) }),
    ...(error.cause === undefined ? {} : { cause: redactValue("cause", error.cause, path) }),
  };
}

/** A member of an object in a text, without its value where its name says that nobody may read it. */
function redactMember(member: string, name = "", colon = ""): string {
  if (!isSecretName(name)) return member;
  const quote = member.startsWith("\\") ? '\\"' : '"';
  return `${quote}${name}${quote}${colon}${quote}${redacted}${quote}`;
}

/** Whether a long text without spaces mixes letters and digits as base64 does. */
function looksEncoded(text: string): boolean {
  return [/[A-Z]{2}/, /[a-z]{2}/, /[A-Za-z]\d[A-Za-z]/].every((pattern) => pattern.test(text));
}

/** The check digit of payment cards (Luhn), so that other long numbers stay readable. */
function isCardNumber(text: string): boolean {
  const digits = text.replace(/\D/g, "");
  const sum = Array.from(digits).reverse().reduce((total, digit, index) => {
    const value = Number(digit) * (index % 2 === 0 ? 1 : 2);
    return total + (value > 9 ? value - 9 : value);
  }, 0);
  return sum % 10 === 0;
}
