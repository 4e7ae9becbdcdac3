/** The table of docs/security.md that says what each kind of caller gets: by what an operation declares, but for the exceptions. */
import type { Auth } from "../../supabase/functions/_shared/endpoint/context.ts";
import type { Declaration } from "../../supabase/functions/_shared/endpoint/operation.ts";
import { type CallerKind, callers } from "../../tests/security-document.ts";
import { replaceParts, table } from "./markdown.ts";

export const callersDocument = new URL("../../docs/security.md", import.meta.url);

type Answers = Partial<Record<CallerKind, number | "answered">>;

/** What an operation for this kind of caller answers; whoever is not named gets ERR_4005. */
const answersOf: Readonly<Record<Auth, Answers>> = {
  user: { guest: "answered", user: "answered", suspended: 4017, admin: "answered" },
  admin: { guest: 4006, user: 4006, suspended: 4017, admin: "answered" },
  service: { "secret key": "answered" },
  worker: { "secret key": "answered" },
  metrics: { "secret key": "answered" },
  // None of these callers signs.
  signed: {},
  public: Object.fromEntries(callers.map((caller) => [caller, "answered" as const])),
};

/** What an operation answers otherwise. `answered` is the status of an answer, where it is not the first one declared. */
const exceptions: Readonly<Record<string, Partial<Record<CallerKind | "answered", number>>>> = {
  // What the App Store has signed is asked for, and nothing of whoever brings it.
  "POST app-store-notifications": Object.fromEntries(callers.map((caller) => [caller, 200])),
  // The same of what Apple's sign-in has signed.
  "POST apple-identity-notifications": Object.fromEntries(callers.map((caller) => [caller, 200])),
  // The job that it is asked about is with a provider.
  "POST cancel-video": { answered: 202 },
  // A guest becomes somebody who is no guest.
  "POST merge-guest": { guest: 4006 },
  // And only a guest finds a guest again.
  "POST recover-guest": { user: 4009, admin: 4009 },
  // Whoever is suspended may still go, and object.
  "DELETE user-profile": { suspended: 202 },
  "POST appeals": { suspended: 202 },
};

/** docs/security.md with the table made anew. Throws where the text has no place for it. */
export function callersDocumentOf(
  text: string,
  endpoints: ReadonlyMap<string, readonly Declaration[]>,
): string {
  const unused = new Set(Object.keys(exceptions));
  const rows = [...endpoints].flatMap(([name, operations]) =>
    operations.map(({ method, path, auth, response }) => {
      const operation = `${method} ${path === undefined ? name : `${name}/${path}`}`;
      unused.delete(operation);
      const { answered = Object.keys(response)[0], ...others } = exceptions[operation] ?? {};
      const answers: Answers = { ...answersOf[auth], ...others };
      const cells = callers.map((caller) => answers[caller] ?? 4005);
      return [`\`${operation}\``, ...cells.map((cell) => `${cell === "answered" ? answered : cell}`)];
    })
  );
  if (unused.size > 0) throw new Error(`${[...unused].join(", ")} is excepted above, and no endpoint has it`);
  return replaceParts(text, { callers: table(["operation", ...callers], rows).join("\n") });
}
