/** Makes what everything of a kind begins with: `deno task new endpoint`, `deno task new error`. */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type ClientAction, errorCodes } from "../supabase/functions/_shared/errors/error-codes.ts";
import { languages, placeholders } from "../supabase/functions/_shared/errors/languages.ts";
import type { Method } from "../supabase/functions/_shared/endpoint/operation.ts";
import { actionWords } from "../tests/contract/api-document.ts";
import { endpointFiles, type NewEndpoint, rightsRow } from "./templates/endpoint.ts";

const usage = `deno task new endpoint|error <name> [options]

Makes an endpoint or an error in every place that it needs.

endpoint <name> [--method=GET,POST,PATCH,DELETE] [--auth=user|admin|service|public]
    An endpoint with its procedures and tests, which fail and say what is to be written. GET for a user, where nothing is said.
error <room/cause> --status=<4xx|5xx> --action=<action> --en=<text> --tr=<text> --es=<text>
                    [--severity=info|warn|error|critical] [--details=<key,key>] [--series=4|5|6] [--tried-anew]
    An error, with the next code of its series: 4 is the caller's, 5 a provider's, 6 ours. The texts' {placeholders} are
    among the details. With --tried-anew the same idempotency key may try again.
    Actions: ${Object.keys(actionWords).join(", ")}`;

/** What was asked for cannot be made; the message says why. */
export class Refusal extends Error {}

type Options = Readonly<Record<string, unknown>>;

/** What of the repository is changed: each file's path and its new text. */
export type Changes = ReadonlyMap<string, string>;

/** Reads a file of the repository by its path; null where there is none. */
export type Read = (path: string) => Promise<string | null>;

/** The changes that the arguments ask for, or null where they ask for help. Throws a Refusal. */
export async function changesOf(args: readonly string[], read: Read): Promise<Changes | null> {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  const own = {
    endpoint: { method: text, auth: text },
    error: {
      ...{ status: text, action: text, severity: text, details: text, series: text, "tried-anew": flag },
      ...{ en: text, tr: text, es: text },
    },
  };
  const [kind, ...rest] = args;
  if (args.includes("--help") || args.includes("-h")) return null;
  const parse = (args: string[], options: typeof own.endpoint | typeof own.error) => {
    try {
      return parseArgs({ args, options, allowPositionals: true });
    } catch (error) {
      throw new Refusal(`${error instanceof Error ? error.message : error}\n\n${usage}`);
    }
  };
  if (kind !== "endpoint" && kind !== "error") {
    parse([...args], { ...own.endpoint, ...own.error });
    throw new Refusal(`Say what is new: an endpoint or an error.\n\n${usage}`);
  }
  const parsed = parse(rest, own[kind]);
  const { values, positionals: [name, ...others] } = parsed;
  if (name === undefined || others.length > 0) throw new Refusal(`One name is needed.\n\n${usage}`);
  return await (kind === "endpoint" ? newEndpoint : newError)(name, values, read);
}

const methodNames: readonly Method[] = ["GET", "POST", "PATCH", "DELETE"];
const auths: readonly NewEndpoint["auth"][] = ["user", "admin", "service", "public"];

/** Refuses an option, unless it has what it takes. */
function check(option: string, isRight: boolean, takes: string, given: unknown): void {
  if (!isRight) throw new Refusal(`--${option} takes ${takes}: ${given}`);
}

/** The word, which must be one of these. */
function oneOf<Word extends string>(option: string, words: readonly Word[], given: unknown): Word {
  const word = words.find((each) => each === given);
  if (word === undefined) throw new Refusal(`--${option} takes ${words.join(", ")}: ${given}`);
  return word;
}

async function newEndpoint(
  name: string,
  { method = "GET", auth = "user" }: Options,
  read: Read,
): Promise<Changes> {
  // With the longest method before it, the name of a procedure must fit Postgres' 63 characters.
  if (!/^[a-z]+(-[a-z]+)*$/.test(name) || name.length > 40) {
    throw new Refusal(
      `An endpoint's name is lower-case words with - between them, of 40 characters at most: ${name}`,
    );
  }
  const methods = `${method}`.split(",").map((word) => oneOf("method", methodNames, word));
  check(
    "method",
    new Set(methods).size === methods.length,
    "methods, each once, with commas between them",
    method,
  );
  const endpoint = { name, methods, auth: oneOf("auth", auths, auth) };
  const changes = new Map(Object.entries(endpointFiles(endpoint)));
  for (const path of changes.keys()) {
    if (await read(path) !== null) throw new Refusal(`${path} is there already: choose another name`);
  }
  const config = await textOf("supabase/config.toml", read);
  changes.set(
    "supabase/config.toml",
    insert(config, /^schema_paths = \[\n(?: {2}".*",\n)+/m, `  "./schemas/api/${name}.sql",\n`),
  );
  const security = await textOf("docs/security.md", read);
  changes.set("docs/security.md", insert(security, /^\| objects \|.*\n(?:\|.*\n)+/m, rightsRow(endpoint)));
  return changes;
}

async function newError(category: string, options: Options, read: Read): Promise<Changes> {
  if (!/^[a-z]+\/[a-z]+(-[a-z]+)*$/.test(category)) {
    throw new Refusal(`An error's name is its room and its cause, such as payment/card-expired: ${category}`);
  }
  const registered = Object.entries(errorCodes);
  const same = registered.find(([, definition]) => definition.category === category);
  if (same) throw new Refusal(`${same[0]} is ${category} already`);
  const { status, action, severity = "info", series = "4", "tried-anew": isTriedAnew = false } = options;
  check("status", /^[45]\d\d$/.test(`${status}`), "an HTTP status from 400 to 599", status);
  const wanted = oneOf("action", Object.keys(actionWords) as ClientAction[], action);
  oneOf("severity", ["info", "warn", "error", "critical"], severity);
  oneOf("series", ["4", "5", "6"], series);
  const details = `${options.details ?? ""}`.split(",").filter((key) => key !== "");
  const areNames = details.every((key) => /^[a-z]+(_[a-z]+)*$/.test(key));
  check("details", areNames, "names such as retry_after, with commas between them", options.details);
  const texts = languages.map((language) => {
    const text = `${options[language]}`;
    const isSentence = /^\p{Lu}.*\.$/u.test(text);
    check(language, isSentence, "a whole sentence, from a capital letter to its full stop", text);
    const unknown = placeholders(text).filter((key) => !details.includes(key));
    if (unknown.length > 0) {
      throw new Refusal(`--${language} fills {${unknown.join("}, {")}}: name it in --details`);
    }
    return [language, text] as const;
  });
  if (new Set(texts.map(([, text]) => [...placeholders(text)].sort().join())).size > 1) {
    throw new Refusal("The texts have different placeholders");
  }

  const [last] = registered.map(([code]) => code).filter((code) => code.startsWith(`ERR_${series}`)).sort()
    .toReversed();
  if (last === undefined || last.endsWith("999")) throw new Refusal(`Series ${series} is full`);
  const code = `ERR_${Number(last.slice(4)) + 1}`;
  const keys = JSON.stringify(details).replaceAll(",", ", ");
  const replayed = !isTriedAnew;
  const changes = new Map<string, string>();
  const add = async (path: string, after: RegExp, text: string) =>
    changes.set(path, insert(await textOf(path, read), after, text));
  const folder = "supabase/functions/_shared/errors";
  await add(
    `${folder}/error-codes.ts`,
    new RegExp(`^ {2}${last}: .*\n`, "m"),
    `  ${code}: { status: ${status}, category: "${category}", severity: "${severity}", action: "${wanted}", ` +
      `details: ${keys}, replayed: ${replayed} },\n`,
  );
  await add(
    `${folder}/error-messages.ts`,
    new RegExp(`^ {2}${last}: \\{\n(?: {4}.*\n)+ {2}\\},\n`, "m"),
    `  ${code}: {\n${
      texts.map(([language, text]) => `    ${language}: ${JSON.stringify(text)},\n`).join("")
    }  },\n`,
  );
  await add(
    "tests/contract/errors_test.ts",
    new RegExp(`^ {2}\\["${last}", .*\n`, "m"),
    `  ["${code}", ${status}, ${keys}, "${wanted}", ${replayed}],\n`,
  );
  // The guide for clients lists the codes by what is done about them, each list in the codes' order.
  const guide = "docs/clients.md";
  const among = (list: string, quote: string) =>
    [...list.split(", "), `${quote}${code}${quote}`].sort().join(", ");
  changes.set(
    guide,
    (await textOf(guide, read))
      .replace(
        new RegExp(`^(\\| ${actionWords[wanted]} \\| )([^|]+)( \\|)`, "m"),
        (_, head, codes, tail) => head + among(codes, "`") + tail,
      )
      .replace(
        /^(const sameKeyLater = \[)(.+)(\];)$/m,
        (line, head, codes, tail) => wanted === "same_key_later" ? head + among(codes, '"') + tail : line,
      ),
  );
  return changes;
}

async function textOf(path: string, read: Read): Promise<string> {
  const text = await read(path);
  if (text === null) throw new Refusal(`${path} is missing`);
  return text;
}

/** The text with `addition` behind what `after` matches. */
function insert(text: string, after: RegExp, addition: string): string {
  const match = after.exec(text);
  if (match === null) throw new Refusal(`There is no place for ${addition.trim()}: nothing is like ${after}`);
  const end = match.index + match[0].length;
  return text.slice(0, end) + addition + text.slice(end);
}

async function main(): Promise<number> {
  const root = new URL("../", import.meta.url);
  const deno = async (...args: string[]) => {
    const { success } = await new Deno.Command(Deno.execPath(), { args, cwd: fileURLToPath(root) }).spawn()
      .status;
    if (!success) throw new Refusal(`deno ${args.join(" ")} failed`);
  };
  try {
    const changes = await changesOf(
      Deno.args,
      (path) => Deno.readTextFile(new URL(path, root)).catch(() => null),
    );
    if (changes === null) {
      console.log(usage);
      return 0;
    }
    for (const [path, text] of changes) {
      await Deno.mkdir(new URL(".", new URL(path, root)), { recursive: true });
      await Deno.writeTextFile(new URL(path, root), text);
      console.log(path);
    }
    await deno("fmt", "-q", ...[...changes.keys()].filter((path) => path.endsWith(".ts")));
    await deno("task", "--quiet", "generate");
    console.log(
      "What is to be written, and where: deno task test contract/to_be_written. CONTRIBUTING.md has the steps.",
    );
    return 0;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    console.error(error.message);
    return 1;
  }
}

if (import.meta.main) Deno.exit(await main());
