/** What must not be found in any log: one of each kind, as it may come in any request or answer. */

export interface Canary {
  readonly name: string;
  readonly value: string;
  /** Parts of it that nothing else contains; one of them in a log is a leak. */
  readonly traces: readonly string[];
}

/** Base64 as Apple's device tokens are, but shorter: 600 bytes, which are the same in every run. */
const deviceToken = btoa(
  Array.from({ length: 600 }, (_, index) => String.fromCharCode((index * index * 31 + index * 7) % 256)).join(
    "",
  ),
);

export const canaries: readonly Canary[] = [
  canary("an e-mail address", "canary.jane+7@mail.example.com", "canary.jane", "canary%2Ejane"),
  canary("a phone number", "+90 532 765 43 21", "765 43 21"),
  canary("a phone number in one piece", "+905327654322", "5327654322"),
  canary("a phone number as they are written in the USA", "(532) 765-4323", "765-4323"),
  canary("a card number", "4012 8888 8888 1881", "8888 1881"),
  canary("a card number in one piece", "4012888888881881", "88888881881"),
  canary(
    "a user's token",
    "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.Y2FuYXJ5c2ln",
    "eyJzdWIiOiJjYW5hcnkifQ",
    "Y2FuYXJ5c2ln",
  ),
  canary("a secret key", "sb_secret_canaryK3yAbcDefGhi", "canaryK3y"),
  canary("a provider's key", "r8_canaryR3plicateK3yAbcDefGhiJklMnoPqrS", "canaryR3plicate"),
  canary(
    "fal's key",
    "Key ca4a1234-0000-4000-8000-feedfacecafe:c0ffee00c0ffee00c0ffee00c0ffee00",
    "c0ffee00c0ffee00",
  ),
  canary("a bearer token", "Bearer canary-bearer.token-123456", "canary-bearer"),
  canary("a webhook's secret", "whsec_Y2FuYXJ5IHdlYmhvb2sgc2VjcmV0IQ", "Y2FuYXJ5IHdlYmhvb2sg"),
  {
    name: "a device token",
    value: deviceToken,
    // Any piece of it that is long enough to be told from other texts.
    traces: Array.from(
      { length: Math.floor(deviceToken.length / 20) },
      (_, index) => deviceToken.slice(index * 20, index * 20 + 20),
    ),
  },
  canary("a push token", "ca4a".repeat(16), "ca4aca4aca4a"),
  // In braces: nobody could tell the bare UUID from the id of a job or of a request.
  canary("a device's id", "{5CA1AB1E-CAFE-4D0D-8BAD-0DDBA11C0DE5}", "0DDBA11C0DE5"),
  canary(
    "a code of Sign in with Apple",
    "cca4a56789abcdef0ca4a56789abcdef0.0.mrtz.Xk3vN8qLw2PyT5sBdR7hGQ",
    "Xk3vN8qLw2PyT5sBdR7hGQ",
  ),
  canary("an Apple id", "001234.ca4a56789abcdef0123456789abcdef0.1234", "ca4a56789abcdef"),
  canary("a prompt", "A violet canary recites umbrella haikus", "violet", "umbrella", "haikus"),
];

function canary(name: string, value: string, ...traces: string[]): Canary {
  return { name, value, traces };
}

export interface Leak {
  readonly canary: string;
  /** The line, from a little before the trace. */
  readonly line: string;
}

/** The canaries that a text tells, each once. */
export function leaksIn(text: string): Leak[] {
  const lower = text.toLowerCase();
  return canaries.flatMap(({ name, traces }) => {
    for (const trace of traces) {
      const at = lower.indexOf(trace.toLowerCase());
      if (at !== -1) return [{ canary: name, line: text.slice(Math.max(0, at - 300), at + 60) }];
    }
    return [];
  });
}
